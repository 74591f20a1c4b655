// The test framework, version 2 or 3, whichever is installed.
#ifndef ALLNORM_TESTS_UNIT_CATCH_H_
#define ALLNORM_TESTS_UNIT_CATCH_H_

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#endif  // ALLNORM_TESTS_UNIT_CATCH_H_
