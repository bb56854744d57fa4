#!/usr/bin/env bash
# Makes the page's fonts (src/server/page/fonts): Debian's Vollkorn and JetBrains Mono, cut down to Latin, Greek and
# punctuation, as WOFF2. Other scripts fall back to the fonts of the reader's system.
#
#     apt-get install fonts-vollkorn fonts-jetbrains-mono fonttools python3-brotli && tools/subset_fonts.sh
set -euo pipefail
out=$(cd "$(dirname "$0")/.." && pwd)/src/server/page/fonts
fonts=/usr/share/fonts/truetype
latin=U+0020-007E,U+00A0-017F,U+0192,U+02C6,U+02DA,U+02DC,U+0391-03C9,U+2010-2015,U+2018-201E,U+2020-2022,U+2026
latin+=,U+2030,U+2032,U+2033,U+2039,U+203A,U+2044,U+2070-209C,U+20AC,U+2122,U+2190-2193,U+2212,U+2248,U+2260,U+2264
latin+=,U+2265

subset() { # INPUT OUTPUT CHARACTERS FEATURES
  pyftsubset "$fonts/$1" --output-file="$out/$2.woff2" --flavor=woff2 --no-hinting --unicodes="$3" --layout-features="$4"
}
prose=kern,liga,clig,onum,lnum,pnum,tnum,mark,mkmk,ccmp,locl,smcp,c2sc
subset vollkorn/Vollkorn-Regular.ttf vollkorn-regular "$latin" $prose
subset vollkorn/Vollkorn-Italic.ttf vollkorn-italic "$latin" $prose
subset vollkorn/Vollkorn-SemiBold.ttf vollkorn-semibold "$latin" $prose
subset jetbrains-mono/JetBrainsMono-Regular.ttf jetbrains-mono-regular "$latin,U+2500-25FF" ccmp,locl,mark,mkmk,zero
