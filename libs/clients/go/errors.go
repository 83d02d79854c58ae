package sesior

import (
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is what every call fails with.
type Error struct {
	Code       codes.Code
	Message    string
	Reason     string        // one of the table in proto/README.md; empty: none
	Field      string        // the request's field, or the record's member, that was wrong; empty: none
	RetryAfter time.Duration // the wait that was advised; zero: none
	Method     string        // "GetSession"
	status     *status.Status
}

// For errors.Is.
var (
	ErrNotFound    = errors.New("sesior: not found")   // no such session, or it has ended
	ErrConflict    = errors.New("sesior: conflict")    // the etag no longer holds, or others wrote all the time
	ErrUnavailable = errors.New("sesior: unavailable") // away for now; never "logged out"
)

func (e *Error) Error() string {
	text := "sesior: " + e.Method + ": " + e.Message
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	return text
}

func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Code == codes.NotFound
	case ErrConflict:
		return e.Code == codes.Aborted
	case ErrUnavailable:
		return e.Code == codes.Unavailable
	}
	return false
}

// GRPCStatus makes status.FromError and status.Code see the error as gRPC gave it.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Details that cannot be read are left out: code and message stand without them.
func fromGRPC(err error, method string) *Error {
	s := status.Convert(err)
	found := &Error{Code: s.Code(), Message: s.Message(), Method: method, status: s}
	for _, detail := range s.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			found.Reason = detail.GetReason()
		case *errdetails.BadRequest:
			if violations := detail.GetFieldViolations(); len(violations) > 0 {
				found.Field = violations[0].GetField()
			}
		case *errdetails.RetryInfo:
			found.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	return found
}
