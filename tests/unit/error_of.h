// The message of the Error that a call throws, for tests that compare it whole.
#ifndef ALLNORM_TESTS_UNIT_ERROR_OF_H_
#define ALLNORM_TESTS_UNIT_ERROR_OF_H_

#include <string>

#include "allnorm/error.h"
#include "catch.h"

namespace allnorm::testing {

/// "" if nothing is thrown. An Error of another code fails the test.
template <typename Call>
std::string error_of(ErrorCode code, Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  return "";
}

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_UNIT_ERROR_OF_H_
