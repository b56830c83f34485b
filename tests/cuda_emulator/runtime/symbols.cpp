#include "symbols.h"

#include <dlfcn.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

namespace cuda_emulator {

namespace {

struct Frame {
  std::string function, line;
};

// Innermost first: inlined functions, then the one they stand in. Kernels are local symbols, which
// dladdr does not know, so this asks the binutils that came with the compiler.
std::vector<Frame> frames_at(const char* address) {
  Dl_info library;
  if (!dladdr(address, &library)) return {};
  std::ostringstream command;
  command << "env -u LD_PRELOAD addr2line -Cfise '" << library.dli_fname << "' 0x" << std::hex
          << address - static_cast<const char*>(library.dli_fbase);
  FILE* const pipe = popen(command.str().c_str(), "r");
  if (!pipe) return {};
  std::string text;
  for (int c; (c = std::fgetc(pipe)) != EOF;) text += char(c);
  pclose(pipe);
  std::vector<Frame> frames;
  std::istringstream lines(text);
  for (Frame frame; std::getline(lines, frame.function) && std::getline(lines, frame.line);)
    frames.push_back(frame);
  return frames;
}

}  // namespace

std::string function_at(const void* address) {
  const auto frames = frames_at(static_cast<const char*>(address));
  return frames.empty() ? "a kernel" : frames.back().function;
}

std::string line_of_call(const void* return_address) {
  for (const Frame& frame : frames_at(static_cast<const char*>(return_address) - 1))
    if (frame.line.rfind("cuda_runtime.h", 0) != 0 && frame.line.rfind("cooperative_groups.h", 0))
      return frame.line.substr(0, frame.line.find(' '));
  return "an unknown line";
}

}  // namespace cuda_emulator
