// Variables that a deployment or a spec gives to a build, and where their values lie.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fields.hpp"

namespace service {

/// A variable's value, or where it is found at launch. Only `plain` ones stand in a file of litbuild's.
struct Value {
    enum class From { plain, file, variable };
    From from = From::plain;
    std::string text;   ///< the value, the path of the file, or the name of the variable
};

/// The key "environment". Throws Code::invalid.
std::map<std::string, Value> environment_of(const Fields &in);

/// The variables as NAME=value, read where they lie. Throws where one is not to be had; no sentence holds a value.
std::vector<std::string> values_of(const std::map<std::string, Value> &environment, const std::string &object);

}  // namespace service
