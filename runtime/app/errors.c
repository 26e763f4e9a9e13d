/* SPDX-License-Identifier: MIT */
/* The built-in error classes, one per status in IANA's registry, and what a
 * visitor is told about each. Constant. Thread: any. */
#include "app/errors.h"

#include <stddef.h>

/* Status, class, and a sentence for whoever sees the page: what happened and
 * where possible what to do, nothing about the server's inside. */
#define STATUSES(X)                                                            \
  X(400, BadRequest, "The server could not make sense of this request.")       \
  X(401, Unauthorized, "You need to sign in to see this.")                     \
  X(402, PaymentRequired, "This has to be paid for first.")                    \
  X(403, Forbidden, "You are not allowed to see or do this.")                  \
  X(404, NotFound,                                                             \
    "There is nothing at this address. It may have a typing error in it, or "  \
    "what was here is gone.")                                                  \
  X(405, MethodNotAllowed,                                                     \
    "This address exists, but it does not take requests of this method.")      \
  X(406, NotAcceptable,                                                        \
    "This is not available in any form that your client accepts.")             \
  X(407, ProxyAuthenticationRequired,                                          \
    "The proxy on the way wants you to sign in first.")                        \
  X(408, RequestTimeout,                                                       \
    "Your request took too long to arrive. Please send it again.")             \
  X(409, Conflict,                                                             \
    "This does not go together with a change that was made before it. Please " \
    "reload and try again.")                                                   \
  X(410, Gone, "What was at this address is gone and will not come back.")     \
  X(411, LengthRequired, "The request must say how long its body is.")         \
  X(412, PreconditionFailed,                                                   \
    "A condition that the request set is not met here.")                       \
  X(413, RequestEntityTooLarge, "What you sent is larger than is taken here.") \
  X(414, RequestURITooLarge, "The address of this request is too long.")       \
  X(415, UnsupportedMediaType,                                                 \
    "What you sent is of a kind that is not taken here.")                      \
  X(416, RequestedRangeNotSatisfiable,                                         \
    "The part that was asked for lies outside of the file.")                   \
  X(417, ExpectationFailed,                                                    \
    "The request expects something that this server does not do.")             \
  X(418, ImATeapot, "No coffee here: this is a teapot.")                       \
  X(421, MisdirectedRequest,                                                   \
    "This request was meant for another server than this one.")                \
  X(422, UnprocessableEntity,                                                  \
    "What you sent is well-formed, but its contents are not right.")           \
  X(423, Locked, "This is locked at the moment.")                              \
  X(424, FailedDependency,                                                     \
    "This was not done because something it depends on has failed.")           \
  X(425, TooEarly,                                                             \
    "This request came too early to be safe. Please repeat it.")               \
  X(426, UpgradeRequired,                                                      \
    "This address must be spoken to in another protocol.")                     \
  X(428, PreconditionRequired,                                                 \
    "A change here must say which version it starts from, for example with "   \
    "If-Match.")                                                               \
  X(429, TooManyRequests,                                                      \
    "There were too many requests from you. Please wait a little.")            \
  X(431, RequestHeaderFieldsTooLarge,                                          \
    "The headers of this request are too large. Deleting this site's cookies " \
    "may help.")                                                               \
  X(451, UnavailableForLegalReasons,                                           \
    "This may not be shown, for legal reasons.")                               \
  X(500, InternalServerError,                                                  \
    "Something went wrong on the server. It is not your fault, and trying "    \
    "again later may help.")                                                   \
  X(501, NotImplemented, "This server does not do what was asked for.")        \
  X(502, BadGateway,                                                           \
    "Another server, which this one needs, gave a bad answer.")                \
  X(503, ServiceUnavailable,                                                   \
    "The server can't answer right now. Please try again in a moment.")        \
  X(504, GatewayTimeout,                                                       \
    "Another server, which this one needs, did not answer in time.")           \
  X(505, HTTPVersionNotSupported,                                              \
    "This server does not speak the version of HTTP that was used.")           \
  X(506, VariantAlsoNegotiates,                                                \
    "The server could not settle on a form in which to answer.")               \
  X(507, InsufficientStorage, "The server has no room left to store this.")    \
  X(508, LoopDetected, "The server went round in a circle with this request.") \
  X(510, NotExtended,                                                          \
    "The request lacks an extension that this server insists on.")             \
  X(511, NetworkAuthenticationRequired,                                        \
    "Your network wants you to sign in before you can go on.")

const dw_error_class dw_error_base = {NULL, "Error", 0};
const dw_error_class dw_error_http = {&dw_error_base, "HTTPError", 0};
const dw_error_class dw_error_cpu_limit = {&dw_error_base, "CPULimitError", 0};
const dw_error_class dw_error_timeout = {&dw_error_base, "TimeoutError", 0};
const dw_error_class dw_error_websocket_closed = {&dw_error_base,
                                                  "WebSocketClosed", 0};
const dw_error_class dw_error_cancelled = {NULL, "Cancelled", 0};

#define X(status, name, text)                                                  \
  static const dw_error_class class_##status = {&dw_error_http, #name, status};
STATUSES(X)
#undef X

const dw_error_class *dw_error_for_status(int status) {
  switch (status) {
#define X(number, name, text)                                                  \
  case number:                                                                 \
    return &class_##number;
    STATUSES(X)
#undef X
  default:
    return NULL;
  }
}

const char *dw_error_description(int status) {
  switch (status) {
#define X(number, name, text)                                                  \
  case number:                                                                 \
    return text;
    STATUSES(X)
#undef X
  default:
    return status < 500 ? "The server will not do what this request asks for."
                        : "The server could not do what was asked for.";
  }
}

bool dw_error_class_is(const dw_error_class *c, const dw_error_class *of) {
  while (c && c != of) c = c->parent;
  return c != NULL;
}
