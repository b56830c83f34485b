#pragma once

#include <string>

namespace cuda_emulator {

// The function at an address of this library, as its source names it.
std::string function_at(const void* address);

// "file.cu:87", the line of a kernel that a call made there returns to.
std::string line_of_call(const void* return_address);

}  // namespace cuda_emulator
