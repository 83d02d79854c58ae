#include "services/realtime/connection/answer_packer.hpp"

#include <utility>

#include "sesior/http/content_coding.hpp"

namespace sesior::realtime {

struct AnswerPacker::Job {
  ExchangePtr exchange;
  http::Response response;
  http::Packer packer;
};

void AnswerPacker::Answer(const ExchangePtr& exchange, http::Response response, std::string body) {
  const bool wanted = exchange->coding != http::ContentCoding::kIdentity && body.size() >= kThresholdBytes;
  if (wanted && running_ < kMaxAtOnce) {
    ++running_;
    return Run(std::shared_ptr<Job>(new Job{exchange, std::move(response), {exchange->coding, std::move(body)}}));
  }
  if (wanted) tallies_.answers_unpacked.Add();
  response.SetBody(std::move(body));
  exchange->Answer(std::move(response));
}

void AnswerPacker::Run(const std::shared_ptr<Job>& job) {
  const bool gone = job->exchange->channel() == nullptr;
  if (!gone && !job->packer.Step(kSliceBytes)) {
    return loop_.Post([this, job] { Run(job); });
  }
  --running_;
  if (gone) return;
  tallies_.answers_packed.Add();
  job->response.Add("Content-Encoding", Name(job->exchange->coding)).Add("Vary", "Accept-Encoding");
  job->response.SetBody(job->packer.Take());
  job->exchange->Answer(std::move(job->response));
}

}  // namespace sesior::realtime
