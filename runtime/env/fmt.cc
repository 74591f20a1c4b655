// fmt's functions that are no templates, compiled here once. With FMT_HEADER_ONLY every file that formats would compile
// them again, which takes the compiler four seconds a file: a third of a build. For versions of fmt that this file does
// not know, cmake/dependencies.cmake takes FMT_HEADER_ONLY.
#ifndef FMT_HEADER_ONLY
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {
// What fmt's headers declare and leave to its library.
template auto thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template auto decimal_point_impl<char>(locale_ref) -> char;
template auto dragonbox::to_decimal(float) noexcept -> dragonbox::decimal_fp<float>;
template auto dragonbox::to_decimal(double) noexcept -> dragonbox::decimal_fp<double>;
}  // namespace detail
FMT_END_NAMESPACE
#endif
