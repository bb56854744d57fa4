// The knobs: what they are, their dialog, and what they become in a request.
//
// An empty field means the service's own value, which GET /v1/models told us and the field shows as its placeholder, so
// that a request names only what the reader chose. Numbers are checked here for the reader's sake; the service checks
// again.
import {byId, h, word} from './dom.mjs';

const kKey = 'dgemma.settings';

export const kKnobs = [
  {
    group: 'Sampling',
    knobs: [
      {
        name: 'max_denoising_steps',
        label: 'Steps, at most',
        min: 1,
        max: 10000,
        whole: true,
        diffusion: true,
        hint: 'looks at one canvas before it is taken as it is'
      },
      {
        name: 't_max',
        label: 'First temperature',
        min: 0.001,
        max: 100,
        diffusion: true,
        hint: 'of the first step of a canvas'
      },
      {name: 't_min', label: 'Last temperature', min: 0, max: 100, diffusion: true, hint: 'of the last step'},
      {
        name: 'entropy_bound',
        label: 'Entropy bound',
        min: 0,
        max: 1e6,
        diffusion: true,
        hint: 'nats accepted in one step; more is faster and bolder'
      },
      {
        name: 'stability_threshold',
        label: 'Stable steps',
        min: 0,
        max: 10000,
        whole: true,
        diffusion: true,
        hint: 'equal steps in a row before a canvas may stop'
      },
      {
        name: 'confidence_threshold',
        label: 'Confidence',
        min: 0,
        max: 1e6,
        diffusion: true,
        hint: 'mean entropy, in nats, below which it may stop'
      },
      {
        name: 'temperature',
        label: 'Temperature',
        min: 0,
        max: 2,
        standard: '1',
        hint: 'scales both temperatures; 0 always gives the same text'
      },
    ]
  },
  {
    group: 'Answer',
    knobs: [
      {
        name: 'max_tokens',
        label: 'Length, at most',
        min: 1,
        max: 1e9,
        whole: true,
        standard: 'open',
        hint: 'tokens of an answer'
      },
      {
        name: 'seed',
        label: 'Seed',
        seed: true,
        standard: 'random',
        hint: 'the same seed, question and settings give the same answer'
      },
    ]
  },
];
const kAll = kKnobs.flatMap((group) => group.knobs);

/// The problem with what was typed into a knob, or ''. Empty is fine.
export function problemWith(knob, text) {
  if (text === '') return '';
  if (knob.seed) return /^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n ? '' : 'a whole number below 2^64';
  const value = Number(text);
  if (!Number.isFinite(value) || value < knob.min || value > knob.max) return `from ${knob.min} to ${knob.max}`;
  return knob.whole && !Number.isInteger(value) ? 'a whole number' : '';
}

/// Whether the last temperature is above the first one; `defaults` are the service's own values.
export function areCrossed(settings, defaults = {}) {
  const [last, first] = ['t_min', 't_max'].map((name) => parseFloat(settings[name] || defaults[name]));
  return last > first;
}
const isTemperature = ({name}) => name === 't_min' || name === 't_max';

/// JSON text of a request. `defaults`: the service's own values. The seed goes in as digits: a JavaScript number does
/// not hold 64 bits.
export function requestBody(model, messages, settings, defaults) {
  const body = {model, messages, stream: true, stream_options: {include_usage: true}, diffusion: {drafts: true}};
  if (settings.system?.trim()) body.messages = [{role: 'system', content: settings.system}, ...messages];
  const crossed = areCrossed(settings, defaults);
  for (const knob of kAll) {
    const text = settings[knob.name];
    if (!text || knob.seed || problemWith(knob, text) || (crossed && isTemperature(knob))) continue;
    (knob.diffusion ? body.diffusion : body)[knob.name] = Number(text);
  }
  if (settings.thinking) body.chat_template_kwargs = {enable_thinking: true};
  const json = JSON.stringify(body);
  const seed = settings.seed;
  return seed && !problemWith({seed: true}, seed) ? `${json.slice(0, -1)},"seed":${BigInt(seed)}}` : json;
}

export class Settings {
  values = {};
  #defaults = {};

  constructor() {
    try {
      const kept = JSON.parse(localStorage.getItem(kKey) ?? '{}');
      for (const {name} of kAll)
        if (typeof kept[name] === 'string') this.values[name] = kept[name];
      if (typeof kept.system === 'string') this.values.system = kept.system;
      this.values.thinking = kept.thinking === true;
    } catch {
      this.values = {};
    }
  }

  /// The service's own values, from GET /v1/models.
  setDefaults(diffusion) {
    this.#defaults = diffusion ?? {};
    for (const knob of kAll) {
      const input = byId(`knob-${knob.name}`);  // there, where the settings were opened before the service was ready
      if (input) input.placeholder = this.#standard(knob);
    }
    this.#judge();
  }

  /// Says at each knob of the dialog what is wrong with it.
  #judge() {
    const crossed = areCrossed(this.values, this.#defaults);
    for (const knob of kAll) {
      const input = byId(`knob-${knob.name}`);
      if (!input) continue;
      let problem = problemWith(knob, input.value.trim());
      if (!problem && crossed && isTemperature(knob) && input.value) problem = 'the last one is above the first one';
      input.setAttribute('aria-invalid', problem !== '');
      byId(`knob-${knob.name}-hint`).textContent = problem ? `not used: ${problem}` : knob.hint;
    }
  }

  open() {
    byId('knobs').replaceChildren(
        this.#prompting(), ...kKnobs.map((group) => this.#group(group)),
        h('p', {class: 'words'}, word('Reset everything', () => {
            this.values = {};
            this.#keep();
            this.open();
          })));
    this.#judge();
    const dialog = byId('settings');
    if (!dialog.open) dialog.showModal();
  }

  #keep() {
    try {
      localStorage.setItem(kKey, JSON.stringify(this.values));
    } catch {
      // No storage: they hold until the page is closed.
    }
  }

  #prompting() {
    const system = h('textarea', {
      id: 'knob-system',
      rows: 3,
      oninput: () => {
        this.values.system = system.value;
        this.#keep();
      }
    });
    system.value = this.values.system ?? '';
    const thinking = h('input', {
      id: 'knob-thinking',
      type: 'checkbox',
      checked: this.values.thinking,
      onchange: () => {
        this.values.thinking = thinking.checked;
        this.#keep();
      }
    });
    return h(
        'fieldset', {}, h('legend', {}, 'Prompt'),
        h('div', {class: 'knob tall'},
          h('label',
            {for: 'knob-system'
            },
            'System prompt'),
          system),
        h('div', {class: 'knob'}, h('label', {for: 'knob-thinking'
          }, 'Think first'), thinking, h('p', {}, 'the model writes down its thoughts before it answers')));
  }

  #group({group, knobs}) { return h('fieldset', {}, h('legend', {}, group), ...knobs.map((knob) => this.#knob(knob))); }

  #standard(knob) { return String(this.#defaults[knob.name] ?? knob.standard ?? ''); }

  #knob(knob) {
    const id = `knob-${knob.name}`;
    const hint = h('p', {id: `${id}-hint`}, knob.hint);
    const input = h('input', {
      id,
      type: 'text',
      inputmode: knob.whole || knob.seed ? 'numeric' : 'decimal',
      autocomplete: 'off',
      placeholder: this.#standard(knob),
      'aria-describedby': `${id}-hint`,
      oninput: () => {
        const text = input.value.trim();
        this.values[knob.name] = problemWith(knob, text) ? '' : text;
        this.#judge();
        this.#keep();
      }
    });
    input.value = this.values[knob.name] ?? '';
    return h('div', {class: 'knob'}, h('label', {for: id
             }, knob.label), input, hint);
  }
}
