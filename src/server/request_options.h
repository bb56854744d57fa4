// The fields that all requests for an answer share: sampling, length, stop strings, streaming, and "diffusion".
//
// Pure: JSON in, AnswerRequest out. Test: tests/server/request_test.cc.
#pragma once

#include <string>
#include <vector>

#include "dgemma/engine.h"
#include "server/answer.h"
#include "server/fields.h"
#include "server/options.h"

namespace dgemma::server {

/// What requests are read against.
struct ServedModel {
  std::string name;                ///< in responses
  std::vector<std::string> names;  ///< that requests may use
  ModelInfo info;
  SamplerOptions sampler;  ///< the service's own defaults
  SamplerValues defaults;  ///< in force where a request says nothing
  Limits limits;
};

/// How a response is to be written.
struct ResponseOptions {
  bool stream = false;
  bool include_usage = false;
};

/// `model`: absent, or one of the names. A fault otherwise (kNotFound).
void read_model(Fields& fields, const ServedModel& model);
/// stream, stream_options.
void read_stream(Fields& fields, ResponseOptions& response);
/// seed: a whole number of 64 bits, also as decimal text, because not every client can write 64 bits as a number.
void read_seed(Fields& fields, AnswerRequest& answer);
/// n. After read_sampler: several choices have no drafts, since those say of which canvas they are, but not of which
/// choice.
void read_choices(Fields& fields, const ServedModel& model, AnswerRequest& answer);
/// A string or an array of at most four under `name`.
void read_stop(Fields& fields, const std::string& name, AnswerRequest& answer);
/// The limit of the answer under `name`, within the service's own.
void read_length(Fields& fields, const std::string& name, const ServedModel& model, AnswerRequest& answer);
/// temperature and diffusion: the sampler's values. Other temperatures than 1 scale t_min and t_max; 0 keeps the
/// published schedule and fixes the seed, so that the answer is always the same.
void read_sampler(Fields& fields, double most_temperature, const ServedModel& model, AnswerRequest& answer);
/// Samplers that diffusion does not have, and fields without effect, of OpenAI's two endpoints.
void read_openai_rest(Fields& fields);

}  // namespace dgemma::server
