// Event: what a client has emitted, and Reply, the answer it may wait for. Arguments are read where they came in:
// nothing is copied that nobody keeps.
//
//   nsp.On("say", [](Socket& socket, const Event& event) {
//     const auto args = event.Read<std::string_view, std::optional<int>>();
//     if (!args.ok()) return event.reply()(args.status().message());      // "argument 1 must be a string"
//     const auto [text, times] = *args;
//     ...
//   });
#pragma once

#include <concepts>
#include <cstdint>
#include <forward_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/status/statusor.h"
#include "sesior/socketio/json.hpp"
#include "sesior/socketio/packet_codec.hpp"

namespace sesior::realtime::hub {

class Socket;

using socketio::Argument;
using socketio::Json;
using socketio::JsonValue;

// Reply: the acknowledgement a client waits for. Empty when it waits for none; answering an empty one does nothing.
// May outlive its socket. Answer once, on the socket's thread; a reply that is dropped leaves the client waiting, as in
// the reference.
class Reply {
 public:
  Reply() = default;
  Reply(std::weak_ptr<Socket> socket, std::uint64_t id) : socket_(std::move(socket)), id_(id), wanted_(true) {}

  bool wanted() const { return wanted_; }
  // Calls the client's function with these arguments.
  template <typename... Values>
  void operator()(const Values&... values) && {
    std::move(*this).SendArgs(Json::Array(values...));
  }
  // `args`: a JSON array of the arguments.
  void SendArgs(const Json& args) &&;

 private:
  std::weak_ptr<Socket> socket_;
  std::uint64_t id_ = 0;
  bool wanted_ = false;
};

// An argument that is bytes, for Read.
struct Bytes {
  std::string_view data;
};

namespace internal {
template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};
}  // namespace internal

// Arguments: of an event or an acknowledgement. All views end with the handler's call; what shall live longer is copied
// by making a Json of it, or a std::string.
// Threading: confined to the socket's thread.
class Arguments {
 public:
  explicit Arguments(const socketio::Packet& packet) : packet_(packet) {}
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  std::size_t arg_count() const { return packet_.arg_count(); }
  Argument arg(std::size_t index) const { return packet_.arg(index); }  // null beyond the end
  // The text of an argument; nullopt: it is no string.
  std::optional<std::string> text(std::size_t index) const { return arg(index).AsString(); }
  // All arguments as a JSON array, verbatim, bytes included.
  Json args() const;
  // The same arguments for an event of this name, as EmitArgs takes it: to pass on all of them.
  Json As(std::string_view event) const;

  // The first arguments as these types, or kInvalidArgument, which names the first that is none: bool, integers (that
  // fit), double, std::string_view (copied only where it has escapes), std::string, Bytes, Argument (anything), and
  // std::optional of them (null and missing are nullopt). More arguments than asked for are no error.
  template <typename... T>
  absl::StatusOr<std::tuple<T...>> Read() const {
    return ReadAll<T...>(std::index_sequence_for<T...>());
  }

 protected:
  const socketio::Packet& packet() const { return packet_; }

 private:
  template <typename... T, std::size_t... Index>
  absl::StatusOr<std::tuple<T...>> ReadAll(std::index_sequence<Index...>) const;
  Json ArgsAfter(std::string text) const;
  template <typename T>
  std::optional<T> ReadOne(std::size_t index, const char*& expected) const;
  std::optional<std::string_view> ReadText(std::size_t index) const;
  static absl::Status NotA(std::size_t index, const char* expected);

  const socketio::Packet& packet_;
  mutable std::forward_list<std::string> unescaped_;  // what Read had to make
};

class Event : public Arguments {
 public:
  Event(const socketio::Packet& packet, std::weak_ptr<Socket> socket) : Arguments(packet), socket_(std::move(socket)) {}

  std::string_view name() const { return packet().event; }
  Reply reply() const { return packet().id ? Reply(socket_, *packet().id) : Reply(); }

 private:
  std::weak_ptr<Socket> socket_;
};

template <typename T>
std::optional<T> Arguments::ReadOne(std::size_t index, const char*& expected) const {
  const Argument value = arg(index);
  if constexpr (std::same_as<T, Argument> || std::same_as<T, JsonValue>) {
    return value;
  } else if constexpr (std::same_as<T, bool>) {
    expected = "true or false";
    return value.AsBool();
  } else if constexpr (std::integral<T>) {
    expected = "an integer within its range";
    const std::optional<std::int64_t> number = value.AsInt();
    return number && std::in_range<T>(*number) ? std::optional<T>(static_cast<T>(*number)) : std::nullopt;
  } else if constexpr (std::floating_point<T>) {
    expected = "a number";
    return value.AsDouble();
  } else if constexpr (std::same_as<T, std::string>) {
    expected = "a string";
    return value.AsString();
  } else if constexpr (std::same_as<T, std::string_view>) {
    expected = "a string";
    return ReadText(index);
  } else {
    static_assert(std::same_as<T, Bytes>, "not a type that arguments can be read as");
    expected = "binary";
    const std::optional<std::string_view> bytes = value.AsBinary();
    return bytes ? std::optional<Bytes>(Bytes{*bytes}) : std::nullopt;
  }
}

template <typename... T, std::size_t... Index>
absl::StatusOr<std::tuple<T...>> Arguments::ReadAll(std::index_sequence<Index...>) const {
  absl::Status error;
  std::tuple<T...> values;
  const auto read = [&]<typename U>(std::size_t index, U& value) {
    if (!error.ok()) return;
    const char* expected = "";
    if constexpr (internal::IsOptional<U>::value) {
      if (arg(index).is_null()) return;
      value = ReadOne<typename U::value_type>(index, expected);
      if (!value) error = NotA(index, expected);
    } else if (std::optional<U> found = ReadOne<U>(index, expected)) {
      value = *std::move(found);
    } else {
      error = NotA(index, expected);
    }
  };
  (read(Index, std::get<Index>(values)), ...);
  if (!error.ok()) return error;
  return values;
}

}  // namespace sesior::realtime::hub
