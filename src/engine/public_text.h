// Makes a public Tokenizer (dgemma/text.h) of one that a model was opened with.
#pragma once

#include "dgemma/text.h"
#include "text/tokenizer.h"

namespace dgemma::engine {

Tokenizer public_tokenizer(const text::Tokenizer& tokenizer);

}  // namespace dgemma::engine
