// /proc/PID/stat: the name in it is the process's own choice.
#include <litbuild/linux/proc.hpp>

#include "../target.hpp"

FUZZ_TARGET(proc_stat)
{
    const auto found = litbuild::linux_::parse_stat(input);
    if (!found) return;
    fuzz::must(input.find('(') != input.npos && found->name.size() <= input.size(), "a name stands in parentheses");
    fuzz::must(input.substr(input.find('(') + 1, found->name.size()) == found->name, "the name is the whole of it");
}
