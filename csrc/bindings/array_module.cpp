// The array door: NumPy in, NumPy out, PyTorch never touched. Arguments are checked in Python.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>

#include "../cpu/images.h"

namespace py = pybind11;
using namespace tubeskel::cpu;

namespace {

ElementType element_type(const py::array& array) {
  const char kind = array.dtype().kind();
  const int size = int(array.itemsize());
  if (kind == 'f') return {Kind::kFloat, size};
  return {kind == 'i' ? Kind::kSigned : Kind::kUnsigned, size};
}

// array: C-contiguous [images, rows, columns]
Batch batch_of(const py::array& array) {
  return {array.data(), element_type(array), array.shape(0), array.shape(1), array.shape(2)};
}

py::array_t<bool> bools_like(const py::array& array) {
  return py::array_t<bool>(std::vector<py::ssize_t>(array.shape(), array.shape() + 3));
}

py::array_t<bool> thin_array(const py::array& images, Method method, int64_t max_iterations,
                             int threads) {
  py::array_t<bool> out = bools_like(images);
  uint8_t* const to = reinterpret_cast<uint8_t*>(out.mutable_data());
  const Batch batch = batch_of(images);
  const py::gil_scoped_release unlocked;
  thin_images(batch, method, max_iterations, to, threads);
  return out;
}

py::array_t<bool> dilate_array(const py::array& images, Footprint footprint, int64_t radius,
                               int threads) {
  py::array_t<bool> out = bools_like(images);
  uint8_t* const to = reinterpret_cast<uint8_t*>(out.mutable_data());
  const Batch batch = batch_of(images);
  const py::gil_scoped_release unlocked;
  dilate_images(batch, footprint, radius, to, threads);
  return out;
}

// Returns the tube and, if num_classes is positive, the counts [images, num_classes].
std::pair<py::array, py::object> tube_array(const py::array& labels, Method method, int64_t radius,
                                            bool per_class, std::optional<int64_t> ignore_index,
                                            int64_t num_classes, const std::string& name,
                                            int threads) {
  py::array out(labels.dtype(), std::vector<py::ssize_t>(labels.shape(), labels.shape() + 3));
  void* const to = out.mutable_data();
  const Batch batch = batch_of(labels);
  const TubeOptions options{method,      radius, per_class, ignore_index ? &*ignore_index : nullptr,
                            num_classes, false,  name};
  py::object counts = py::none();
  int64_t* count_data = nullptr;
  if (num_classes > 0) {
    py::array_t<int64_t> zeros({py::ssize_t(batch.images), py::ssize_t(num_classes)});
    count_data = zeros.mutable_data();
    std::fill_n(count_data, zeros.size(), 0);
    counts = std::move(zeros);
  }
  {
    const py::gil_scoped_release unlocked;
    tube_images(batch, options, to, count_data, threads);
  }
  return {out, counts};
}

}  // namespace

PYBIND11_MODULE(_array, m) {
  m.doc() = "Thinning, dilation and tubes on NumPy arrays of shape (images, rows, columns).";
  py::enum_<Method>(m, "Method").value("zhang", Method::kZhang).value("guo_hall", Method::kGuoHall);
  py::enum_<Footprint>(m, "Footprint")
      .value("diamond", Footprint::kDiamond)
      .value("box", Footprint::kBox)
      .value("ball", Footprint::kBall);
  m.def("thin", &thin_array);
  m.def("dilate", &dilate_array);
  m.def("tubed_skeleton", &tube_array);
  m.def("available_instruction_sets", &available_instruction_sets);
  m.def("use_instruction_set", &use_instruction_set);
  m.def("instruction_set", [] { return kernels().name; });
  m.attr("UNTIL_STABLE") = kUntilStable;
  m.attr("CUDA_ARCHITECTURES") = TUBESKEL_CUDA_ARCHS;
}
