#include "base/shared_library.h"

#include "base/error.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace holdfast {

SharedLibrary::SharedLibrary(const std::string& file_name, const std::string& package)
    : file_name_(file_name), handle_(::dlopen(file_name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) {
        throw Error(ErrorCode::unsupported, fmt::format("a library cannot be loaded: {}", ::dlerror()),
                    fmt::format("install it; on Debian it is in the package {}", package));
    }
}

void* SharedLibrary::symbol(const char* name) const {
    void* const found = ::dlsym(handle_, name);
    if (found == nullptr) {
        throw Error(ErrorCode::unsupported, fmt::format("{} has no function {}", file_name_, name),
                    "install a newer version of it");
    }
    return found;
}

} // namespace holdfast
