#include "values.hpp"

#include <stdlib.h>

#include <litbuild/linux/proc.hpp>

namespace service {

namespace json = boost::json;
using litbuild::Code;
using litbuild::Error;
using litbuild::quote;

std::map<std::string, Value> environment_of(const Fields &in)
{
    std::map<std::string, Value> out;
    const json::value *found = in.find("environment");
    if (!found) return out;
    const Fields variables(*found, in.where() + ": environment");
    for (const auto &each : variables.object()) {
        const std::string name(each.key());
        if (name.empty() || name.find_first_of(std::string_view("=\0\n", 3)) != std::string::npos)
            variables.fail(quote(name) + " is no name of a variable");
        if (name.starts_with("LITBUILD_")) variables.fail(quote(name) + " is litbuild's own");
        if (each.value().is_string()) {
            out[name] = {Value::From::plain, std::string(each.value().as_string())};
            continue;
        }
        const Fields from(each.value(), variables.where() + ": " + quote(name));
        from.allow({"file", "variable"});
        if (from.object().size() != 1) from.fail(R"(must be a text, {"file": PATH} or {"variable": NAME})");
        if (from.find("variable")) {
            out[name] = {Value::From::variable, from.text("variable", "")};
            continue;
        }
        out[name] = {Value::From::file, from.text("file", "")};
        check_path(from, out[name].text, "file");
    }
    return out;
}

std::vector<std::string> values_of(const std::map<std::string, Value> &environment, const std::string &object)
{
    std::vector<std::string> out;
    for (const auto &[name, value] : environment) {
        const std::string where = object + ": environment " + quote(name);
        std::string text = value.text;
        if (value.from == Value::From::variable) {
            const char *found = ::secure_getenv(value.text.c_str());
            if (!found) throw Error(Code::invalid, where + ": variable " + quote(value.text) + " is not set");
            text = found;
        } else if (value.from == Value::From::file) {
            const std::optional<std::string> content = litbuild::linux_::slurp(value.text.c_str());
            if (!content) throw litbuild::os_error(where, "read " + value.text, errno);
            text = *content;
            while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
        }
        if (text.find('\0') != std::string::npos) throw Error(Code::invalid, where + ": its value contains a zero byte");
        out.push_back(name + "=" + text);
    }
    return out;
}

}  // namespace service
