// The array door: NumPy in, NumPy out, PyTorch never touched. Arguments are checked in Python.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <variant>

#include "../cpu/images.h"
#include "../cpu/thin_lee.h"
#include "../cpu/views.h"

namespace py = pybind11;
using namespace tubeskel::cpu;

namespace {

ElementType element_type(const py::array& array) {
  const char kind = array.dtype().kind();
  const int size = int(array.itemsize());
  if (kind == 'f') return {Kind::kFloat, size};
  return {kind == 'i' ? Kind::kSigned : Kind::kUnsigned, size};
}

// array: C-contiguous [images, planes, rows, columns]
Batch batch_of(const py::array& array) {
  return {array.data(),   element_type(array), array.shape(0),
          array.shape(1), array.shape(2),      array.shape(3)};
}

py::array_t<bool> bools_like(const py::array& array) {
  return py::array_t<bool>(std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim()));
}

// Runs work(Execution) without the interpreter lock; Ctrl-C ends it with KeyboardInterrupt.
template <class Work>
void run_unlocked(int threads, const Work& work) {
  try {
    const py::gil_scoped_release unlocked;
    Interrupt interrupt([] {
      const py::gil_scoped_acquire locked;
      return PyErr_CheckSignals() != 0;
    });
    work(Execution{threads, interrupt});
  } catch (const Interrupted&) {
    throw py::error_already_set();
  }
}

py::array_t<bool> thin_array(const py::array& images, Method method, int64_t max_iterations,
                             bool keep_components, int threads) {
  py::array_t<bool> out = bools_like(images);
  uint8_t* const to = reinterpret_cast<uint8_t*>(out.mutable_data());
  const Batch batch = batch_of(images);
  run_unlocked(threads, [&](Execution run) {
    thin_images(batch, {method, max_iterations, keep_components}, to, run);
  });
  return out;
}

py::array_t<bool> dilate_array(const py::array& images, FootprintShape shape, double radius,
                               std::array<double, 3> spacing, bool flat, int threads) {
  py::array_t<bool> out = bools_like(images);
  uint8_t* const to = reinterpret_cast<uint8_t*>(out.mutable_data());
  const Batch batch = batch_of(images);
  const Footprint footprint = make_footprint(shape, radius, spacing, flat);
  run_unlocked(threads, [&](Execution run) { dilate_images(batch, footprint, to, run); });
  return out;
}

// skeletons: the method to make them by, or what another method made, bool of the shape of labels.
// Returns the tube and, if num_classes is positive, the counts [images, num_classes].
std::pair<py::array, py::object> tube_array(
    const py::array& labels, const std::variant<Method, py::array_t<bool>>& skeletons,
    bool keep_components, int64_t radius, bool flat, bool per_class,
    std::optional<int64_t> ignore_index, int64_t num_classes, const std::string& name,
    int threads) {
  py::array out(labels.dtype(),
                std::vector<py::ssize_t>(labels.shape(), labels.shape() + labels.ndim()));
  void* const to = out.mutable_data();
  const Batch batch = batch_of(labels);
  TubeOptions options;
  if (const Method* method = std::get_if<Method>(&skeletons))
    options.thinning.method = *method;
  else
    options.skeletons =
        reinterpret_cast<const uint8_t*>(std::get<py::array_t<bool>>(skeletons).data());
  options.thinning.keep_components = keep_components;
  options.footprint =
      make_footprint(FootprintShape::kDiamond, double(radius), {1.0, 1.0, 1.0}, flat);
  options.per_class = per_class;
  options.ignore_index = ignore_index ? &*ignore_index : nullptr;
  options.num_classes = num_classes;
  options.name = name;
  py::object counts = py::none();
  int64_t* count_data = nullptr;
  if (num_classes > 0) {
    py::array_t<int64_t> zeros({py::ssize_t(batch.images), py::ssize_t(num_classes)});
    count_data = zeros.mutable_data();
    std::fill_n(count_data, zeros.size(), 0);
    counts = std::move(zeros);
  }
  run_unlocked(threads, [&](Execution run) { tube_images(batch, options, to, count_data, run); });
  return {out, counts};
}

// For tests: iterations, rounds and most rounds of Lee's method on one volume.
std::tuple<int64_t, int64_t, int64_t> lee_statistics(const py::array& volume, int threads) {
  const Batch batch = batch_of(volume);
  LeeStatistics statistics;
  run_unlocked(threads, [&](Execution run) {
    const View view = image_of(batch, 0);
    BitImage bits = pack_image(view, nonzero(view.type), true, run.threads);
    statistics = thin_lee(bits, run.threads, run.interrupt);
  });
  return {statistics.iterations, statistics.rounds, statistics.most_rounds};
}

}  // namespace

PYBIND11_MODULE(_array, m) {
  m.doc() =
      "Thinning, dilation and tubes on NumPy arrays of shape (images, planes, rows, columns).";
  py::enum_<Method>(m, "Method")
      .value("zhang", Method::kZhang)
      .value("guo_hall", Method::kGuoHall)
      .value("lee", Method::kLee);
  py::enum_<FootprintShape>(m, "Footprint")
      .value("diamond", FootprintShape::kDiamond)
      .value("box", FootprintShape::kBox)
      .value("ball", FootprintShape::kBall);
  m.def("thin", &thin_array);
  m.def("dilate", &dilate_array);
  m.def("tubed_skeleton", &tube_array);
  m.def("lee_statistics", &lee_statistics);
  m.def("available_instruction_sets", &available_instruction_sets);
  m.def("use_instruction_set", &use_instruction_set);
  m.def("instruction_set", [] { return kernels().name; });
  m.attr("UNTIL_STABLE") = kUntilStable;
  m.attr("CUDA_ARCHITECTURES") = TUBESKEL_CUDA_ARCHS;
}
