// What a URL of an NFS export says.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace litbuild::nfs {

/// "nfs://SERVER/EXPORT?version=3&nfsport=2049&mountport=20048&uid=1000&gid=1000"; all behind the '?' may be left out.
struct Address {
    std::string server;             ///< a name or an address; an IPv6 address in brackets
    std::string folder;             ///< as the server knows it, "/export"; a folder below an export where the server allows it
    int nfs_port = 0;               ///< 0: the server's portmapper is asked
    int mount_port = 0;             ///< 0: as nfs_port
    std::optional<int> uid, gid;    ///< none: those of the process

    /// "nfs://fs1/export": what errors begin with.
    std::string text() const { return "nfs://" + server + folder; }
};

/// Code::invalid: it is none, or asks for something that is not there: another version, an unknown argument.
Address parse_address(std::string_view url);

}  // namespace litbuild::nfs
