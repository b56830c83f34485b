// Labels and logits of any type; included by kernels_*.cpp before the losses.

namespace tubeskel::cpu::TUBESKEL_TARGET {

#define KERNEL inline __attribute__((always_inline))

struct BFloat16 {
  uint16_t bits;
};

template <class T>
KERNEL auto to_real(const T& value) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    const uint32_t wide = uint32_t(value.bits) << 16;
    float real;
    __builtin_memcpy(&real, &wide, sizeof real);
    return real;
  } else {
    return std::conditional_t<std::is_same_v<T, double>, double, float>(value);
  }
}

template <class T, class Real>
KERNEL T from_real(const Real& real) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    uint32_t wide;
    __builtin_memcpy(&wide, &real, sizeof wide);
    if (real != real) return {0x7fc0};
    return {uint16_t((wide + 0x7fff + (wide >> 16 & 1)) >> 16)};  // to nearest, even
  } else {
    return T(real);
  }
}

// Calls use(labels, ignored, ignoring) with labels and the ignored one in their own type. A type
// that cannot hold ignore_index ignores nothing.
template <class Use>
KERNEL void with_labels(const Labels& source, std::optional<int64_t> ignore_index, const Use& use) {
  const auto as = [&](auto zero) {
    using T = decltype(zero);
    const T ignored = T(ignore_index.value_or(0));
    const bool holds = std::is_signed_v<T> || ignore_index.value_or(0) >= 0;
    const bool ignoring = ignore_index && holds && int64_t(ignored) == *ignore_index;
    use(static_cast<const T*>(source.data), ignored, ignoring);
  };
  const bool is_signed = source.type.kind == Kind::kSigned;
  switch (source.type.size) {
    case 1:
      return is_signed ? as(int8_t()) : as(uint8_t());
    case 2:
      return is_signed ? as(int16_t()) : as(uint16_t());
    case 4:
      return is_signed ? as(int32_t()) : as(uint32_t());
    default:
      return is_signed ? as(int64_t()) : as(uint64_t());
  }
}

// The largest class as an unsigned value of the labels' type; negative labels are above it too.
template <class T>
KERNEL std::make_unsigned_t<T> largest_class(int64_t num_classes) {
  const uint64_t widest = uint64_t(std::numeric_limits<T>::max());
  const uint64_t largest = uint64_t(num_classes - 1);
  return std::make_unsigned_t<T>(largest < widest ? largest : widest);
}

// Calls with(a logit, a real number), both of the types to work with.
template <class With>
KERNEL auto with_logits(LogitType type, const With& with) {
  switch (type) {
    case LogitType::kFloat64:
      return with(double(), double());
    case LogitType::kFloat16:
      return with(_Float16(), float());
    case LogitType::kBFloat16:
      return with(BFloat16(), float());
    default:
      return with(float(), float());
  }
}

// Copies bytes, a multiple of a vector, to memory as aligned, without reading it into the caches.
KERNEL void stream(void* to, const void* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += TUBESKEL_VECTOR_BYTES) {
    char* const at = static_cast<char*>(to) + i;
    const char* const source = static_cast<const char*>(from) + i;
#if !defined(__x86_64__)
    __builtin_memcpy(at, source, TUBESKEL_VECTOR_BYTES);
#elif TUBESKEL_VECTOR_BYTES == 64
    _mm512_stream_si512(reinterpret_cast<__m512i*>(at), _mm512_loadu_si512(source));
#elif TUBESKEL_VECTOR_BYTES == 32
    _mm256_stream_si256(reinterpret_cast<__m256i*>(at),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source)));
#else
    _mm_stream_si128(reinterpret_cast<__m128i*>(at),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(source)));
#endif
  }
}

// Makes streamed memory visible before what is written next.
KERNEL void finish_streams() {
#ifdef __x86_64__
  _mm_sfence();
#endif
}

#undef KERNEL

}  // namespace tubeskel::cpu::TUBESKEL_TARGET
