// A build store of one page. Build 19 of contoso is the folder ROOT/contoso/19, or ROOT/contoso/19.archived.
//
// What a store owes the engine stands in <litbuild/store.hpp>. This one is exported as LB_SERIAL: the engine makes one
// call at a time, and so there is no lock in it. It has no `tags`, `edit_tags` and `remove`: what is not overridden has
// no tags, or is "not supported".
#include <litbuild/export.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>

using namespace litbuild;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view archived = ".archived";

class MyStore final : public BuildStore {
public:
    // `config` is a JSON object. The engine puts its root into it as "root"; a real plugin uses a JSON library.
    MyStore(const Host &host, std::string_view config)
    {
        const size_t at = config.find("\"root\":\"");
        if (at == config.npos) throw Error(Code::invalid, "my-store: the configuration has no 'root'");
        root_ = std::string(config.substr(at + 8, config.find('"', at + 8) - at - 8));
        if (!fs::is_directory(root_)) throw Error(Code::not_found, root_.string() + ": no such folder");
        host.log(LB_LOG_DEBUG, "root is " + root_.string());
    }

    uint64_t capabilities() const override { return LB_STORE_LOCAL_PATH; }

    std::vector<std::string> teams(const Call &) override
    {
        std::vector<std::string> out;
        for (const fs::directory_entry &each : fs::directory_iterator(root_))
            if (each.is_directory() && is_team(each.path().filename().string())) out.push_back(each.path().filename());
        return out;
    }

    void list(const Call &call, const Query &query, const EntrySink &each) override
    {
        uint64_t given = 0;
        for (const Entry &entry : entries(call, query.team)) {
            const bool wanted = query.scope == Scope::all || (query.scope == Scope::archived) == entry.archived;
            if (!wanted || (query.before > 0 && entry.runid >= query.before)) continue;
            if (!each(entry) || ++given == query.limit) return;
        }
    }

    Entry find(const Call &, const BuildName &build) override
    {
        check(build);   // a name becomes a path only once it is known to be one
        for (const bool is_archived : {false, true})
            if (fs::is_directory(path(build, is_archived))) return {build.runid, is_archived, path(build, is_archived)};
        throw Error(Code::not_found, to_string(build) + ": no such build");
    }

    // Made under a dotted name and then renamed: readers see a build whole or not at all.
    Entry create(const Call &call, const NewBuild &build) override
    {
        check_team(build.team);
        fs::create_directories(root_ / build.team);
        const std::vector<Entry> known = entries(call, build.team);
        const BuildName name{build.team, known.empty() ? 1 : known.front().runid + 1};
        const fs::path draft = root_ / build.team / (".new-" + build.uuid);
        for (const auto &[file, content] : build.files) inside(name, file);   // before anything is made
        fs::create_directories(draft / ".control");
        for (const auto &[file, content] : build.files) write(draft / file, content);
        const std::string comma = build.document == "{}" ? "" : ",";
        write(draft / "build.json", "{\"runid\":" + std::to_string(name.runid) + comma + build.document.substr(1));
        fs::rename(draft, path(name, false));
        return {name.runid, false, path(name, false)};
    }

    Entry archive(const Call &call, const BuildName &build) override { return move(call, build, true); }
    Entry restore(const Call &call, const BuildName &build) override { return move(call, build, false); }

    void read(const Call &call, const BuildName &build, std::string_view name, uint64_t offset, uint64_t max,
              const TextSink &sink) override
    {
        const fs::path folder = fs::canonical(find(call, build).path), file = folder / inside(build, name);
        // What a build leaves in its folder is hostile, too: a pipe would hold whoever opens it, and no link leads out of it.
        if (!fs::is_regular_file(file)) throw Error(Code::not_found, to_string(build) + ": no such file " + quote(name));
        if (!fs::canonical(file).string().starts_with(folder.string() + "/"))
            throw Error(Code::corrupt, to_string(build) + ": " + quote(name) + " leads out of its folder");
        std::ifstream in(file, std::ios::binary);
        if (!in) throw Error(Code::denied, to_string(build) + ": " + quote(name) + " cannot be read");
        in.seekg(static_cast<std::streamoff>(offset));
        char piece[16384];
        for (uint64_t left = max > 0 ? max : UINT64_MAX; left > 0;) {
            call.check(to_string(build));   // the deadline, and whether the caller still wants it
            in.read(piece, static_cast<std::streamsize>(std::min<uint64_t>(left, sizeof piece)));
            const auto size = static_cast<size_t>(in.gcount());
            if (size == 0 || !sink({piece, size})) return;
            left -= size;
        }
    }

    void write_control(const Call &call, const BuildName &build, std::string_view name,
                       std::string_view content) override
    {
        const fs::path file = fs::path(find(call, build).path) / ".control" / inside(build, name);
        write(file.string() + ".new", content);
        fs::rename(file.string() + ".new", file);
    }

private:
    fs::path path(const BuildName &build, bool is_archived) const
    {
        return root_ / build.team / (std::to_string(build.runid) + std::string(is_archived ? archived : ""));
    }

    static fs::path inside(const BuildName &build, std::string_view name)
    {
        const fs::path out(name);
        const auto leads_away = [](const fs::path &part) { return part.empty() || part == "." || part == ".."; };
        if (name.empty() || name.size() > 1000 || name.find('\0') != name.npos || out.is_absolute() ||
            std::any_of(out.begin(), out.end(), leads_away))
            throw Error(Code::invalid, to_string(build) + ": " + quote(name) + " is not the name of a file");
        return out;
    }

    // All of a team, the highest run id first. A folder with any other name is no build.
    std::vector<Entry> entries(const Call &call, const std::string &team) const
    {
        check_team(team);
        if (!fs::is_directory(root_ / team)) throw Error(Code::not_found, team + ": no such team");
        std::vector<Entry> out;
        for (const fs::directory_entry &each : fs::directory_iterator(root_ / team)) {
            call.check(team);
            std::string name = each.path().filename();
            const bool is_archived = name.ends_with(archived);
            if (is_archived) name.resize(name.size() - archived.size());
            if (const auto runid = parse_runid(name)) out.push_back({*runid, is_archived, each.path()});
        }
        std::sort(out.begin(), out.end(), [](const Entry &a, const Entry &b) { return a.runid > b.runid; });
        return out;
    }

    Entry move(const Call &call, const BuildName &build, bool to_archive)
    {
        const Entry now = find(call, build);
        if (now.archived != to_archive) fs::rename(now.path, path(build, to_archive));
        return {build.runid, to_archive, path(build, to_archive)};
    }

    static void write(const fs::path &file, std::string_view content)
    {
        std::ofstream out(file, std::ios::binary);
        out << content << std::flush;
        if (!out) throw Error(Code::unavailable, file.string() + ": cannot be written");
    }

    fs::path root_;
};

}  // namespace

LITBUILD_PLUGIN("my-store", "1.0.0", StoreOf<MyStore, LB_SERIAL>)
