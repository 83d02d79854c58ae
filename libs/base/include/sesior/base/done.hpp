// Done<T>: how every asynchronous call of SESIOR ends.
// Always the last parameter, after the timeout; called exactly once, never from inside the starting call, on the
// executor that the called class names. `Done<void>` carries a plain status.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sesior {

namespace internal {
template <typename T>
struct DoneOf {
  using type = absl::AnyInvocable<void(absl::StatusOr<T>) &&>;
};
template <>
struct DoneOf<void> {
  using type = absl::AnyInvocable<void(absl::Status) &&>;
};
}  // namespace internal

template <typename T>
using Done = typename internal::DoneOf<T>::type;

// A piece of work handed to an executor.
using Task = absl::AnyInvocable<void() &&>;

}  // namespace sesior
