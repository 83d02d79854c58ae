// Early return on errors. The packaged Abseil has no such macros.
//   SESIOR_RETURN_IF_ERROR(DoSomething());
//   SESIOR_ASSIGN_OR_RETURN(Session session, ParseSession(text));
#pragma once

#include <utility>

#include "absl/status/statusor.h"

#define SESIOR_CONCAT_INNER_(a, b) a##b
#define SESIOR_CONCAT_(a, b) SESIOR_CONCAT_INNER_(a, b)

#define SESIOR_RETURN_IF_ERROR(expression)                                    \
  do {                                                                        \
    if (::absl::Status sesior_status_ = (expression); !sesior_status_.ok()) { \
      return sesior_status_;                                                  \
    }                                                                         \
  } while (false)

#define SESIOR_ASSIGN_OR_RETURN(lhs, expression) \
  SESIOR_ASSIGN_OR_RETURN_IMPL_(SESIOR_CONCAT_(sesior_statusor_, __LINE__), lhs, expression)

#define SESIOR_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expression) \
  auto statusor = (expression);                                  \
  if (!statusor.ok()) return std::move(statusor).status();       \
  lhs = *std::move(statusor)
