// The engine's values as Python's: what stands in a file need not be UTF-8.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <pybind11/pybind11.h>

#include <litbuild/engine.hpp>

namespace litbuild::python {

namespace py = pybind11;

py::str to_python(std::string_view text);
py::list to_python(const std::vector<std::string> &words);
/// These two as they are, for a list has many of them: they are asked for an item as a dictionary is.
py::object to_python(const Status &status);
py::object to_python(const Summary &summary);
void define_raw_values(py::module_ &module);
py::dict to_python(const StopResult &result);
py::dict to_python(const Event &event);
py::dict to_python(const BulkResult &result);
py::dict to_python(const BuildChange &change);
py::dict to_python(const TeamFinding &finding);
py::dict to_python(const PluginInfo &plugin);

/// From a Python text, whose lone surrogates are the bytes that they came from.
std::string from_python(const py::str &text);

/// The error as an exception of the package, set.
void raise_in_python(const Error &error);

}  // namespace litbuild::python
