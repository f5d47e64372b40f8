// The functions of libpq that we use, under their names and with their types: each finds the library's own
// when it is first called, so that commands that talk to no server do not load it.
#include "base/shared_library.h"

#include <libpq-fe.h>

namespace {

const holdfast::SharedLibrary& libpq() {
    static const holdfast::SharedLibrary library("libpq.so.5", "libpq5");
    return library;
}

} // namespace

// The header's declaration is what the type is taken from: a wrong one here does not compile.
#define HOLDFAST_FORWARD(result, name, parameters, arguments)                                                \
    extern "C" result name parameters {                                                                      \
        static const auto function = libpq().function<decltype(name)>(#name);                                \
        return function arguments;                                                                           \
    }

HOLDFAST_FORWARD(int, PQbackendPID, (const PGconn* a), (a))
HOLDFAST_FORWARD(int, PQcancel, (PGcancel * a, char* b, int c), (a, b, c))
HOLDFAST_FORWARD(void, PQclear, (PGresult * a), (a))
HOLDFAST_FORWARD(PostgresPollingStatusType, PQconnectPoll, (PGconn * a), (a))
HOLDFAST_FORWARD(int, PQconnectionNeedsPassword, (const PGconn* a), (a))
HOLDFAST_FORWARD(PGconn*, PQconnectStartParams, (const char* const* a, const char* const* b, int c),
                 (a, b, c))
HOLDFAST_FORWARD(void, PQconninfoFree, (PQconninfoOption * a), (a))
HOLDFAST_FORWARD(PQconninfoOption*, PQconninfoParse, (const char* a, char** b), (a, b))
HOLDFAST_FORWARD(int, PQconsumeInput, (PGconn * a), (a))
HOLDFAST_FORWARD(char*, PQdb, (const PGconn* a), (a))
HOLDFAST_FORWARD(char*, PQerrorMessage, (const PGconn* a), (a))
HOLDFAST_FORWARD(char*, PQescapeIdentifier, (PGconn * a, const char* b, size_t c), (a, b, c))
HOLDFAST_FORWARD(char*, PQescapeLiteral, (PGconn * a, const char* b, size_t c), (a, b, c))
HOLDFAST_FORWARD(void, PQfinish, (PGconn * a), (a))
HOLDFAST_FORWARD(int, PQflush, (PGconn * a), (a))
HOLDFAST_FORWARD(char*, PQfname, (const PGresult* a, int b), (a, b))
HOLDFAST_FORWARD(void, PQfreeCancel, (PGcancel * a), (a))
HOLDFAST_FORWARD(void, PQfreemem, (void* a), (a))
HOLDFAST_FORWARD(PGcancel*, PQgetCancel, (PGconn * a), (a))
HOLDFAST_FORWARD(int, PQgetCopyData, (PGconn * a, char** b, int c), (a, b, c))
HOLDFAST_FORWARD(PGresult*, PQgetResult, (PGconn * a), (a))
HOLDFAST_FORWARD(int, PQgetisnull, (const PGresult* a, int b, int c), (a, b, c))
HOLDFAST_FORWARD(int, PQgetlength, (const PGresult* a, int b, int c), (a, b, c))
HOLDFAST_FORWARD(char*, PQgetvalue, (const PGresult* a, int b, int c), (a, b, c))
HOLDFAST_FORWARD(char*, PQhost, (const PGconn* a), (a))
HOLDFAST_FORWARD(int, PQisBusy, (PGconn * a), (a))
HOLDFAST_FORWARD(int, PQnfields, (const PGresult* a), (a))
HOLDFAST_FORWARD(int, PQntuples, (const PGresult* a), (a))
HOLDFAST_FORWARD(const char*, PQparameterStatus, (const PGconn* a, const char* b), (a, b))
HOLDFAST_FORWARD(char*, PQport, (const PGconn* a), (a))
HOLDFAST_FORWARD(int, PQputCopyData, (PGconn * a, const char* b, int c), (a, b, c))
HOLDFAST_FORWARD(int, PQputCopyEnd, (PGconn * a, const char* b), (a, b))
HOLDFAST_FORWARD(char*, PQresultErrorField, (const PGresult* a, int b), (a, b))
HOLDFAST_FORWARD(char*, PQresultErrorMessage, (const PGresult* a), (a))
HOLDFAST_FORWARD(ExecStatusType, PQresultStatus, (const PGresult* a), (a))
HOLDFAST_FORWARD(int, PQsendQuery, (PGconn * a, const char* b), (a, b))
HOLDFAST_FORWARD(int, PQsendQueryParams,
                 (PGconn * a, const char* b, int c, const Oid* d, const char* const* e, const int* f,
                  const int* g, int h),
                 (a, b, c, d, e, f, g, h))
HOLDFAST_FORWARD(int, PQserverVersion, (const PGconn* a), (a))
HOLDFAST_FORWARD(PGVerbosity, PQsetErrorVerbosity, (PGconn * a, PGVerbosity b), (a, b))
HOLDFAST_FORWARD(PQnoticeReceiver, PQsetNoticeReceiver, (PGconn * a, PQnoticeReceiver b, void* c), (a, b, c))
HOLDFAST_FORWARD(int, PQsetnonblocking, (PGconn * a, int b), (a, b))
HOLDFAST_FORWARD(int, PQsocket, (const PGconn* a), (a))
HOLDFAST_FORWARD(ConnStatusType, PQstatus, (const PGconn* a), (a))
HOLDFAST_FORWARD(char*, PQuser, (const PGconn* a), (a))

#undef HOLDFAST_FORWARD
