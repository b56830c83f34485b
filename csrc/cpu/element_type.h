// What the bits of an array's elements mean, as both doors describe it.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace tubeskel::cpu {

struct Foreground;

enum class Kind { kUnsigned, kSigned, kFloat, kBrainFloat };  // bool is kUnsigned

struct ElementType {
  Kind kind;
  int size;  // bytes: 1, 2, 4 or 8
};

// A value that an operation does not take: NaN, or a label out of range. `what()` is the value.
struct InvalidValue : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// Every nonzero value is foreground, NaN is invalid.
Foreground nonzero(ElementType type);

// Nonzero labels below `num_classes` are foreground (all, if it is 0); `ignored` is background
// unless it is null.
Foreground labels_of_classes(ElementType type, int64_t num_classes, const int64_t* ignored);

// Bits of an integer as an element of this type; false if the type cannot hold it.
bool bits_of(ElementType type, int64_t value, uint64_t& bits);

std::string to_string(ElementType type, const void* data, int64_t index);

}  // namespace tubeskel::cpu
