#include <folder-store/owner.hpp>

#include <array>
#include <charconv>
#include <cstdio>

#include <litbuild/error.hpp>
#include <litbuild/linux/proc.hpp>

#include <folder-store/fields.hpp>
#include <folder-store/noise.hpp>

namespace litbuild::folder {

namespace {

std::string pid_namespace()
{
    std::array<char, 64> text{};
    const ssize_t size = ::readlink("/proc/self/ns/pid", text.data(), text.size());
    return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : std::string();
}

// "pid:[4026531836]" -> 4026531836
uint64_t number_in(std::string_view text) noexcept
{
    uint64_t number = 0;
    const size_t open = text.find('[');
    if (open != text.npos) std::from_chars(text.data() + open + 1, text.data() + text.size(), number);
    return number;
}

Owning look_for(int64_t pid, int64_t start)
{
    if (pid <= 0 || pid > INT32_MAX || start <= 0) return Owning::unknown;
    try {
        return linux_::hold(static_cast<pid_t>(pid), static_cast<uint64_t>(start)) ? Owning::alive : Owning::gone;
    } catch (const Error &) {
        return Owning::unknown;
    }
}

}  // namespace

Owner Owner::self()
{
    const std::optional<linux_::ProcStat> stat = linux_::stat_of(::getpid());
    return {linux_::host_name(), linux_::machine_id(), linux_::boot_id(), pid_namespace(), ::getpid(),
            stat ? static_cast<int64_t>(stat->start) : 0};
}

boost::json::object Owner::to_json() const
{
    return {{"host", host}, {"machine", machine}, {"boot", boot}, {"space", space}, {"pid", pid}, {"start", start}};
}

std::optional<Owner> Owner::from_json(const boost::json::object &members)
{
    Owner owner{fields::text(members, "host"), fields::text(members, "machine"), fields::text(members, "boot"), fields::text(members, "space"),
                fields::integer(members, "pid").value_or(0), fields::integer(members, "start").value_or(0)};
    if (owner.host.empty() || owner.boot.empty() || owner.pid <= 0) return std::nullopt;
    return owner;
}

std::string Owner::text() const { return "pid " + std::to_string(pid) + " on " + host; }

Owning look_for(const Owner &owner)
{
    const Owner here = Owner::self();
    if (owner.boot != here.boot) {
        const bool is_this_machine = !owner.machine.empty() && owner.machine == here.machine && owner.host == here.host;
        return is_this_machine ? Owning::gone : Owning::unknown;
    }
    if (owner.space != here.space || owner.space.empty()) return Owning::unknown;
    return look_for(owner.pid, owner.start);
}

std::string mark(const Owner &owner)
{
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), "%.8s-%llx-%llx-%llx", owner.boot.c_str(),
                  static_cast<unsigned long long>(number_in(owner.space)), static_cast<unsigned long long>(owner.pid),
                  static_cast<unsigned long long>(owner.start));
    return text.data();
}

const std::string &own_mark()
{
    thread_local pid_t pid = 0;
    thread_local std::string text;
    // A child has another identity than the process that it was forked from.
    if (pid != ::getpid()) {
        text = mark(Owner::self());
        pid = ::getpid();
    }
    return text;
}

std::string temporary_name() { return std::string(temporary_start) + own_mark() + "-" + noise(); }

Owning look_for_mark(std::string_view mark)
{
    const Owner here = Owner::self();
    const std::string_view boot = mark.substr(0, mark.find('-'));
    if (boot.size() != 8 || !std::string_view(here.boot).starts_with(boot)) return Owning::unknown;
    std::array<uint64_t, 3> numbers{};
    mark.remove_prefix(boot.size());
    for (uint64_t &number : numbers) {
        if (mark.empty() || mark.front() != '-') return Owning::unknown;
        mark.remove_prefix(1);
        const auto [end, error] = std::from_chars(mark.data(), mark.data() + mark.size(), number, 16);
        if (error != std::errc{}) return Owning::unknown;
        mark.remove_prefix(static_cast<size_t>(end - mark.data()));
    }
    if (numbers[0] == 0 || numbers[0] != number_in(here.space)) return Owning::unknown;
    return look_for(static_cast<int64_t>(numbers[1]), static_cast<int64_t>(numbers[2]));
}

}  // namespace litbuild::folder
