// See request_options.h.
#include "server/request_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/format.h"
#include "base/utf8.h"

namespace dgemma::server {
namespace {

constexpr int kMost = std::numeric_limits<int>::max();
constexpr size_t kMostStops = 4;
constexpr size_t kLongestStop = 1024;
constexpr double kExact = int64_t{1} << 53;                             // whole numbers of a double, up to here
constexpr double kLowestTemperature = 1e-3, kHighestTemperature = 100;  // of t_max

std::optional<uint64_t> parse_seed(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void read_diffusion(Fields fields, AnswerRequest& answer, SamplerOptions& sampler) {
  const auto take = [](auto& target, const auto& value) {
    if (value) target = *value;
  };
  take(sampler.max_denoising_steps, fields.whole("max_denoising_steps", 1, kMostSteps));
  take(sampler.t_min, fields.real("t_min", 0, kHighestTemperature));
  take(sampler.t_max, fields.real("t_max", kLowestTemperature, kHighestTemperature));
  take(sampler.entropy_bound, fields.real("entropy_bound", 0, 1e6));
  take(sampler.stability_threshold, fields.whole("stability_threshold", 0, kMostSteps));
  take(sampler.confidence_threshold, fields.real("confidence_threshold", 0, 1e6));
  answer.drafts = fields.flag("drafts").value_or(false);
  fields.finish();
}

}  // namespace

void read_model(Fields& fields, const ServedModel& model) {
  const auto name = fields.text("model");
  if (!name || std::find(model.names.begin(), model.names.end(), *name) != model.names.end()) return;
  fields.fault().set(ErrorCode::kNotFound, base::concat("model: expected ", base::quoted(model.name), ", got ",
                                                        base::quoted(*name), ". GET /v1/models lists what is served"));
}

void read_stream(Fields& fields, ResponseOptions& response) {
  response.stream = fields.flag("stream").value_or(false);
  const Json* options = fields.object("stream_options");
  if (options == nullptr) return;
  if (!response.stream) fields.fault().expected("stream_options", "nothing without \"stream\": true", options);
  Fields inner(*options, "stream_options", fields.fault());
  response.include_usage = inner.flag("include_usage").value_or(false);
  inner.ignore("include_obfuscation");  // padding against traffic analysis, which there is none of
  inner.finish();
}

void read_seed(Fields& fields, AnswerRequest& answer) {
  const Json* seed = fields.find("seed");
  if (seed == nullptr) return;
  if (seed->is_number_integer()) {  // negative ones are 64 bits too
    answer.generate.seed =
        seed->is_number_unsigned() ? seed->get<uint64_t>() : static_cast<uint64_t>(seed->get<int64_t>());
  } else if (seed->is_number_float()) {  // 5.0 is 5; beyond 53 bits nobody knows which number was meant
    const double number = seed->get<double>();
    if (number == std::floor(number) && std::abs(number) <= kExact)
      answer.generate.seed = static_cast<uint64_t>(static_cast<int64_t>(number));
  } else if (seed->is_string()) {
    answer.generate.seed = parse_seed(seed->get_ref<const std::string&>());
  }
  if (!answer.generate.seed) fields.fault().expected(fields.path("seed"), "a whole number of 64 bits", seed);
}

void read_choices(Fields& fields, const ServedModel& model, AnswerRequest& answer) {
  answer.choices = fields.whole("n", 1, model.limits.choices).value_or(1);
  if (answer.choices > 1 && answer.drafts)
    fields.fault().expected(fields.path("n"), "1 with diffusion.drafts", fields.find("n"));
}

void read_stop(Fields& fields, const std::string& name, AnswerRequest& answer) {
  const Json* stop = fields.find(name);
  if (stop == nullptr) return;
  const Json list = stop->is_array() ? *stop : Json::array({*stop});
  if (list.size() > kMostStops)
    return fields.fault().set(ErrorCode::kInvalidRequest, base::concat(fields.path(name), ": expected at most ",
                                                                       kMostStops, " strings, got ", list.size()));
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string where = stop->is_array() ? base::concat(fields.path(name), "[", i, "]") : fields.path(name);
    if (!list[i].is_string() || list[i].get_ref<const std::string&>().empty())
      return fields.fault().expected(where, "a string that is not empty", &list[i]);
    answer.stop.push_back(list[i].get<std::string>());
    if (const size_t characters = base::utf8_characters(answer.stop.back()); characters > kLongestStop)
      return fields.fault().set(ErrorCode::kInvalidRequest, base::concat(where, ": expected at most ", kLongestStop,
                                                                         " characters, got ", characters));
  }
}

void read_length(Fields& fields, const std::string& name, const ServedModel& model, AnswerRequest& answer) {
  const int most = model.limits.output_tokens == 0 ? kMost : model.limits.output_tokens;
  if (const auto tokens = fields.whole(name, 1, most)) answer.generate.max_new_tokens = *tokens;
  if (!answer.generate.max_new_tokens && model.limits.output_tokens > 0)
    answer.generate.max_new_tokens = model.limits.output_tokens;
}

void read_sampler(Fields& fields, double most_temperature, const ServedModel& model, AnswerRequest& answer) {
  SamplerOptions& sampler = answer.generate.sampler;
  sampler = model.sampler;
  if (const Json* diffusion = fields.object("diffusion"))
    read_diffusion(Fields(*diffusion, fields.path("diffusion"), fields.fault()), answer, sampler);
  const double t_min = sampler.t_min.value_or(model.defaults.t_min),
               t_max = sampler.t_max.value_or(model.defaults.t_max);
  if (t_min > t_max)
    fields.fault().set(ErrorCode::kInvalidRequest, base::concat(fields.path("diffusion.t_min"),
                                                                ": expected at most t_max, ", t_max, ", got ", t_min));
  const double temperature = fields.real("temperature", 0, most_temperature).value_or(1);
  if (temperature == 0 && !answer.generate.seed) answer.generate.seed = 0;
  if (temperature == 0 || temperature == 1) return;
  sampler.t_min = temperature * t_min;
  sampler.t_max = std::max(kLowestTemperature, temperature * t_max);
}

void read_openai_rest(Fields& fields) {
  fields.only("top_p", {1}, "not supported by text diffusion: leave it out or give 1");
  fields.only("frequency_penalty", {0}, "not supported by text diffusion: leave it out or give 0");
  fields.only("presence_penalty", {0}, "not supported by text diffusion: leave it out or give 0");
  fields.only("logit_bias", {Json::object()}, "not supported by text diffusion: leave it out");
  for (const char* name :
       {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"})
    fields.ignore(name);
  fields.only("service_tier", {"auto", "default"}, "expected auto or default: there is one tier here");
  fields.only("store", {false}, "not supported: answers are not kept here");
}

}  // namespace dgemma::server
