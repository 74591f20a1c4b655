#include "findings.h"

#include <fmt/format.h>

#include <algorithm>

#include "text.h"

namespace allnorm::tools {

const char* to_string(Status status) noexcept {
  switch (status) {
    case Status::kOk: return "ok";
    case Status::kInfo: return "info";
    case Status::kWarn: return "warn";
    default: return "fail";
  }
}

void Findings::add_error(Status status, std::string topic, const std::string& message) {
  auto [found, advice] = split_advice(message);
  add(status, std::move(topic), std::move(found), std::move(advice));
}

int Findings::count(Status status) const noexcept {
  return static_cast<int>(
      std::count_if(list_.begin(), list_.end(), [&](const Finding& f) { return f.status == status; }));
}

std::string Findings::to_text() const {
  constexpr std::size_t kStatusWidth = 8;  // with the blanks around it
  constexpr std::size_t kLeast = 60;
  const std::size_t width = std::max(output_width(), kLeast) - kStatusWidth;
  const std::size_t advice_width = width * 2 / 5;
  TextTable table({{}, {'l', width - advice_width}, {'l', advice_width}});
  for (const Finding& f : list_) {
    table.add({to_string(f.status), fmt::format("{}: {}", f.topic, f.found), f.advice});
  }
  return table.to_string();
}

}  // namespace allnorm::tools
