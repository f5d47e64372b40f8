// From what a client of the API asks for to an operation.
#pragma once

#include "api/routes/routes.h"
#include "execution/operation_request.h"

namespace holdfast {

// What the request means, checked. The source may be left out where there is just one of the kind that the
// route is about. Throws Error(usage) with the field at fault, Error(unsupported) for what is not there yet.
OperationRequest prepare_operation(const api::OperationAsked& asked, const OperationWorld& world,
                                   Timestamp now);

} // namespace holdfast
