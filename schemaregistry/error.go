package schemaregistry

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sluicehub/sluice/schemaregistry/access"
)

// Error is an answer other than success: what Confluent's registry answers with, and what its clients look at.
type Error struct {
	Status  int // of HTTP
	Code    int // error_code: five digits of which the first three are the status, or the status itself
	Message string
	Err     error // the cause, if there is one; not part of the answer
}

// Error returns the message and the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s (error code %d): %v", e.Message, e.Code, e.Err)
	}
	return fmt.Sprintf("%s (error code %d)", e.Message, e.Code)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// answer returns an Error with one of Confluent's codes.
func answer(code int, format string, args ...any) *Error {
	return &Error{Status: code / 100, Code: code, Message: fmt.Sprintf(format, args...)}
}

// plain returns an Error that has no code but its status, with the message of Confluent's server.
func plain(status int) *Error {
	return &Error{Status: status, Code: status, Message: fmt.Sprintf("HTTP %d %s", status, http.StatusText(status))}
}

// unauthorized is the answer to who cannot be known. The client is not told why.
func unauthorized(err error) *Error {
	if !errors.Is(err, access.ErrUnknown) {
		return storeError("reading who may ask", err)
	}
	return &Error{Status: http.StatusUnauthorized, Code: 40101, Message: "Unauthorized: user name and password, a token or a certificate are needed", Err: err}
}

func forbidden(who string, op access.Operation, subject string) *Error {
	if subject == "" {
		return answer(40301, "User %s is not allowed to %s what belongs to all subjects", who, op)
	}
	return answer(40301, "User %s is not allowed to %s the subject '%s'", who, op, subject)
}

func subjectNotFound(subject string) *Error { return answer(40401, "Subject '%s' not found.", subject) }

func versionNotFound(version int) *Error { return answer(40402, "Version %d not found.", version) }

func schemaNotFound() *Error { return answer(40403, "Schema not found") }

func idNotFound(id int) *Error { return answer(40403, "Schema %d not found", id) }

func subjectDeleted(subject string) *Error {
	return answer(40404, "Subject '%s' was soft deleted.Set permanent=true to delete permanently", subject)
}

func subjectNotDeleted(subject string) *Error {
	return answer(40405, "Subject '%s' was not deleted first before being permanently deleted", subject)
}

func versionDeleted(subject, version string) *Error {
	return answer(40406, "Subject '%s' Version %s was soft deleted.Set permanent=true to delete permanently", subject, version)
}

func versionNotDeleted(subject, version string) *Error {
	return answer(40407, "Subject '%s' Version %s was not deleted first before being permanently deleted", subject, version)
}

func levelNotConfigured(subject string) *Error {
	return answer(40408, "Subject '%s' does not have subject-level compatibility configured", subject)
}

func modeNotConfigured(subject string) *Error {
	return answer(40409, "Subject '%s' does not have subject-level mode configured", subject)
}

func invalidSchema(err error) *Error {
	return &Error{Status: 422, Code: 42201, Message: "Invalid schema: " + err.Error(), Err: err}
}

func invalidVersion(version string) *Error {
	return answer(42202, `The specified version '%s' is not a valid version id. Allowed values are between [1, 2^31-1] and the string "latest"`, version)
}

func invalidLevel() *Error {
	return answer(42203, "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive")
}

func invalidMode() *Error {
	return answer(42204, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, IMPORT and FORWARD")
}

func invalidRules(err error) *Error {
	return &Error{Status: 422, Code: 42210, Message: "Invalid ruleset: " + err.Error(), Err: err}
}

func readOnly(name string) *Error { return notPermitted("Subject %s is in read-only mode", name) }

func notPermitted(format string, args ...any) *Error { return answer(42205, format, args...) }

func invalidSubject(subject string) *Error {
	return answer(42208, "The specified subject '%s' is not a valid subject.", subject)
}

func storeError(doing string, err error) *Error {
	return &Error{Status: 500, Code: 50001, Message: "Error while " + doing + ": " + err.Error(), Err: err}
}

func timedOut(doing string, err error) *Error {
	return &Error{Status: 500, Code: 50002, Message: "Timed out while " + doing + "; it may have been done all the same", Err: err}
}

func notForwarded(err error) *Error {
	return &Error{Status: 500, Code: 50003, Message: "Error while forwarding the request to the leader: " + err.Error(), Err: err}
}

func unknownWriter() *Error {
	return answer(50004, "The request failed since the leader is unknown, and this registry is not to become it")
}
