#include "services/realtime/hub/event.hpp"

#include "absl/strings/str_cat.h"
#include "services/realtime/hub/socket.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::realtime::hub {

void Reply::SendArgs(const Json& args) && {
  const std::shared_ptr<Socket> socket = socket_.lock();
  if (!wanted_ || !socket || socket->link_ == nullptr) return;
  wanted_ = false;
  if (socket->TakesBinaries(args)) socket->link_->SendAck(id_, args.text(), args.attachments());
}

Json Arguments::args() const { return ArgsAfter("["); }
Json Arguments::As(std::string_view event) const {
  return ArgsAfter(absl::StrCat("[", ToAbsl(socketio::JsonString(event))));
}

// `text`: an array's beginning, which the arguments complete.
Json Arguments::ArgsAfter(std::string text) const {
  if (arg_count() == 0) return Json::Raw(text + "]");
  if (text.size() > 1) text.push_back(',');
  // From the first argument to the closing bracket: in one piece, so that bytes meant twice are kept once.
  const std::string_view data = packet_.data;
  text.append(data.substr(static_cast<std::size_t>(packet_.arg(0).text().data() - data.data())));
  return Json(Argument(JsonValue(text), packet_.attachments()));
}

std::optional<std::string_view> Arguments::ReadText(std::size_t index) const {
  const Argument value = arg(index);
  if (const std::optional<std::string_view> plain = value.AsPlainString()) return plain;
  std::optional<std::string> text = value.AsString();
  if (!text) return std::nullopt;
  return unescaped_.emplace_front(*std::move(text));
}

absl::Status Arguments::NotA(std::size_t index, const char* expected) {
  return absl::InvalidArgumentError(absl::StrCat("argument ", index + 1, " must be ", expected));
}

}  // namespace sesior::realtime::hub
