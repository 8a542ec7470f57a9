// A folder in memory for parsers that read files. One of a process, used again for every input.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "target.hpp"

namespace fuzz {

namespace fs = std::filesystem;

class Folder {
public:
    Folder()
    {
        for (const char *place : {"/dev/shm", "/tmp"}) {
            std::string name = std::string(place) + "/litbuild-fuzz-XXXXXX";
            if (!::mkdtemp(name.data())) continue;
            path_ = name;
            return;
        }
        std::perror("mkdtemp");
        std::abort();
    }
    ~Folder()
    {
        std::error_code error;
        fs::remove_all(path_, error);
    }
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;

    const fs::path &path() const { return path_; }
    void put(const fs::path &name, std::string_view content) const
    {
        const fs::path file = path_ / name;
        int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0) {
            fs::create_directories(file.parent_path());
            fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        }
        const bool good = fd >= 0 && ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
        if (fd >= 0) ::close(fd);
        if (good) return;
        std::perror(file.c_str());
        std::abort();
    }
    void clear() const
    {
        for (const auto &entry : fs::directory_iterator(path_)) fs::remove_all(entry.path());
    }

private:
    fs::path path_;
};

}  // namespace fuzz
