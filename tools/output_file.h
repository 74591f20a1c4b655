// Files that a command was asked to write.
#ifndef ALLNORM_TOOLS_OUTPUT_FILE_H_
#define ALLNORM_TOOLS_OUTPUT_FILE_H_

#include <string>
#include <string_view>

namespace allnorm::tools {

/// In place of what is there. Throws UsageError, which names the flag.
void write_output(const std::string& path, std::string_view bytes, const char* flag = "--out");

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_OUTPUT_FILE_H_
