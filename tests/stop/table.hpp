// Plays a case in every column that this host has, and keeps what happened for the table at the end.
#pragma once

#include <iomanip>

#include "stop/room.hpp"

namespace stop_cases {

class Table {
public:
    static Table &get()
    {
        static Table table;
        return table;
    }

    void put(const std::string &row, const std::string &column, const std::string &cell)
    {
        if (rows_.empty() || rows_.back().first != row) rows_.emplace_back(row, std::map<std::string, std::string>());
        rows_.back().second[column] = cell;
    }
    void skip(const std::string &column, const std::string &why)
    {
        if (skipped_.emplace(column, why).second) std::cout << "SKIPPED: stop_cases " << column << ": " << why << std::endl;
    }
    const std::string *skipped(const std::string &column) const
    {
        const auto found = skipped_.find(column);
        return found == skipped_.end() ? nullptr : &found->second;
    }

    /// A row per case; what does not fit its column stands below the row's name.
    void print() const
    {
        std::vector<const Column *> shown;
        for (const Column &column : columns)
            if (!skipped(column.name)) shown.push_back(&column);
        std::cout << "\nstop cases, what happened\n" << std::left << std::setw(34) << "case";
        for (const Column *column : shown) std::cout << std::setw(18) << column->name;
        std::cout << '\n';
        for (const auto &[row, cells] : rows_) {
            std::cout << std::setw(34) << row;
            std::string long_ones;
            for (const Column *column : shown) {
                const auto found = cells.find(column->name);
                std::string cell = found == cells.end() ? "" : found->second;
                if (cell.size() > 17) {
                    long_ones += std::string("      ") + column->name + ": " + cell + "\n";
                    cell = cell.substr(0, cell.find_first_of("(,:")).substr(0, 16) + "*";
                }
                std::cout << std::setw(18) << cell;
            }
            std::cout << '\n' << long_ones;
        }
        for (const auto &[column, why] : skipped_) std::cout << "skipped: " << column << ": " << why << '\n';
        std::cout << std::flush;
    }

private:
    std::vector<std::pair<std::string, std::map<std::string, std::string>>> rows_;
    std::map<std::string, std::string> skipped_;
};

/// One column in a process of its own; reads its answer when asked.
class Play {
public:
    Play(const Column &column, const Scene &scene, const Options &options) : column_(&column)
    {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
        std::cout << std::flush;
        pid_ = ::fork();
        if (pid_ == 0) {
            Warden warden(column, options);
            const std::string answer = warden.play(scene);
            (void)!::write(ends[1], answer.data(), answer.size());
            ::_exit(0);
        }
        ::close(ends[1]);
        out_.reset(ends[0]);
    }
    const Column &column() const { return *column_; }
    /// The cell on the first line, the failures behind it.
    std::string answer()
    {
        std::string text;
        char piece[4096];
        for (ssize_t got; (got = ::read(out_.get(), piece, sizeof piece)) > 0;) text.append(piece, static_cast<size_t>(got));
        ::waitpid(pid_, nullptr, 0);
        return text.empty() ? "FAILED\nthe warden is gone\n" : text;
    }

private:
    const Column *column_;
    pid_t pid_ = 0;
    linux_::Descriptor out_;
};

inline void play(const std::string &row, const Scene &scene, const Options &options = {})
{
    std::vector<Play> running;
    const auto finish = [&] {
        for (Play &each : running) {
            const std::string text = each.answer();
            const size_t line = text.find('\n');
            const std::string failures = text.substr(line + 1);
            Table::get().put(row, each.column().name, text.substr(0, line));
            BOOST_TEST_CONTEXT(row << " in " << each.column().name) { BOOST_TEST(failures.empty(), failures); }
        }
        running.clear();
    };
    // Those that need the machine for themselves take the longest: in the short form each is played in every third column.
    size_t turn = std::hash<std::string>()(row);
    const char *text = ::getenv("LITBUILD_TEST_LONG");
    const bool is_long = text && *text;
    for (const Column &column : columns) {
        if (Table::get().skipped(column.name)) continue;
        if (options.alone && !is_long && ++turn % 3 != 0) {
            Table::get().put(row, column.name, "(--long)");
            continue;
        }
        if (const std::string why = options.not_here ? options.not_here(column) : ""; !why.empty()) {
            Table::get().put(row, column.name, "- (" + why + ")");
            continue;
        }
        running.emplace_back(column, scene, options);
        if (options.alone) finish();
    }
    finish();
    BOOST_TEST(true);
}

/// The programs where everybody can read them, the columns that this host has, the table at the end.
struct Stage {
    Stage()
    {
        char folder[] = "/tmp/litbuild-test-XXXXXX";
        if (!::mkdtemp(folder)) throw std::runtime_error("mkdtemp");
        ::chmod(folder, 0755);
        programs() = folder;
        const char *helpers = ::getenv("LITBUILD_HELPER_DIR"), *binaries = ::getenv("LITBUILD_BIN_DIR");
        if (!helpers || !binaries) throw std::runtime_error("LITBUILD_HELPER_DIR or LITBUILD_BIN_DIR is not set");
        fs::copy(fs::path(binaries) / "litbuild-runner", programs() / "litbuild-runner");
        for (const fs::directory_entry &each : fs::directory_iterator(helpers))
            if (each.path().filename().string().starts_with("stop_")) fs::copy(each.path(), programs() / each.path().filename());
        fs::permissions(programs() / "stop_other_uid", fs::perms(04755));
        choose();
    }
    ~Stage()
    {
        Table::get().print();
        std::error_code error;
        fs::remove_all(programs(), error);
    }

    void choose()
    {
        const bool is_root = ::geteuid() == 0;
        const bool has_group = fs::exists(cgroup2_mount() / "cgroup.procs");
        for (const Column &column : columns) {
            std::string why;
            if (column.user == User::root && !is_root) why = "not root";
            if (column.user == User::delegated && !is_root) why = "not root, so no subtree can be delegated";
            if (column.tier == Tier::cgroup && !has_group) why = "no control groups of version 2";
            if (why.empty() && column.tier == Tier::pid_namespace) why = try_namespace(column);
            if (!why.empty()) Table::get().skip(column.name, why);
        }
    }

    static std::string try_namespace(const Column &column)
    {
        const Scene scene = [](Room &room) {
            try {
                room.launch({"true"}).wait();
                room.note("has");
            } catch (const Error &e) {
                room.note(e.what());
            }
        };
        std::string text = Play(column, scene, {}).answer();
        text = text.substr(0, text.find('\n'));
        return text.starts_with("has") ? "" : text;
    }
};

}  // namespace stop_cases
