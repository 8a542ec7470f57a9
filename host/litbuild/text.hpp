// Text for people: safe to show on a terminal, times and sizes as they are read, columns that stand below each other.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <litbuild/status.hpp>

#include "foreign_text.hpp"
#include "print.hpp"

namespace litbuild::cli {

/// "2024-06-08 16:40:31" in local time; "-" for 0.
std::string local_time(Timestamp time);
/// "0.4s", "1m 02s", "3h 05m" from start to end, or until now where it has not ended; "-" where it has not started.
std::string time_taken(Timestamp started, Timestamp ended);
/// "999 B", "1.2 kB", "45 GB".
std::string size_text(uint64_t bytes);
/// "45%"; "-" for none.
std::string percent(const std::optional<double> &progress);
/// "0", "3", "signal KILL"; "-" for none.
std::string exit_text(const std::optional<int> &code, int signal);
/// The words with ", " between them, escaped; "-" for none.
std::string joined(const std::vector<std::string> &words);
std::string joined(const std::vector<std::string_view> &words);

struct Cell {
    Cell(std::string given) : text(std::move(given)) {}
    Cell(const char *given) : text(given) {}
    Cell(std::string given, Colour shown) : text(std::move(given)), colour(shown) {}

    std::string text;
    Colour colour = Colour::none;
};

/// Rows below a head, each column as wide as its widest cell.
class Table {
public:
    explicit Table(std::vector<Cell> head);
    void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
    std::string text() const;

private:
    std::vector<std::vector<Cell>> rows_;
};

}  // namespace litbuild::cli
