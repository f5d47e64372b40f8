// Shared libraries that are loaded when they are first needed.
//
// libcurl and libpq bring some thirty libraries with them, which takes the dynamic linker longer than most of
// our commands take; those that PostgreSQL calls for every segment of its log need neither.
#pragma once

#include <string>

namespace holdfast {

// Stays loaded until the process ends. Thread-safe.
class SharedLibrary {
  public:
    // Loads the library of that file name, as the dynamic linker finds it. `package` is what to install where
    // it is missing, for the error. Throws Error(unsupported).
    SharedLibrary(const std::string& file_name, const std::string& package);

    // A function of it. `Function` is its type, as the library's header declares it. Throws
    // Error(unsupported) when the library has none of that name: it is older than it must be.
    template <typename Function>
    Function* function(const char* name) const {
        return reinterpret_cast<Function*>(symbol(name));
    }

  private:
    void* symbol(const char* name) const;

    std::string file_name_;
    void* handle_;
};

} // namespace holdfast
