package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/sluicehub/sluice/connectors"
)

// environment is an error of the world around, which may pass.
func environment(op string, err error, remedy string) error {
	return &connectors.Error{Op: op, Class: connectors.ClassEnvironment, Retriable: true, Err: err, Remedy: remedy}
}

// dataError is the error about one record.
func dataError(op string, from connectors.TopicPartition, offset int64, err error) *connectors.Error {
	return &connectors.Error{Op: op, Class: connectors.ClassData, Err: err,
		Record: &connectors.RecordRef{TopicPartition: from, Offset: offset}}
}

// answer takes apart what the S3 client returned: the status of the answer (0 if there was none), the error code in
// it, and the region that the bucket is said to be in.
func answer(err error) (status int, code, region string) {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		code = api.ErrorCode()
	}
	if response := (*awshttp.ResponseError)(nil); errors.As(err, &response) && response.Response != nil {
		status = response.HTTPStatusCode()
		region = response.Response.Header.Get("X-Amz-Bucket-Region")
	}
	return status, code, region
}

// trouble says what an error of the S3 client comes from: the key of the configuration that it belongs to, and what
// mends it.
type trouble struct {
	key, remedy string
	permanent   bool // calling again does not help
}

func (s *settings) diagnose(err error) trouble {
	if missing := (*credentialsError)(nil); errors.As(err, &missing) && missing.remedy != "" {
		return trouble{key: missing.key, remedy: missing.remedy, permanent: true}
	}
	status, code, region := answer(err)
	switch code {
	case "NoSuchBucket":
		return trouble{key: "s3.bucket.name", remedy: fmt.Sprintf("create the bucket %s, or correct s3.bucket.name", s.bucket)}
	case "InvalidAccessKeyId", "XAdminUserNotFound": // the second is versitygw's
		return trouble{key: "aws.access.key.id", remedy: "correct aws.access.key.id"}
	case "SignatureDoesNotMatch":
		return trouble{key: "aws.secret.access.key", remedy: "correct aws.secret.access.key"}
	case "ExpiredToken", "InvalidToken":
		return trouble{key: "aws.access.key.id", remedy: "renew the credentials"}
	case "RequestTimeTooSkewed":
		return trouble{key: s.endpointKey(), remedy: "set the clock of this machine: the server takes requests of the last 15 minutes only"}
	case "InvalidBucketName":
		return trouble{key: "s3.bucket.name", remedy: "correct s3.bucket.name"}
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException":
		return trouble{key: "s3.region", remedy: regionRemedy(region)}
	case "NoSuchUpload":
		return trouble{remedy: "none needed: the task starts again from its last position", permanent: true}
	case "NotImplemented":
		return trouble{key: "enable.conditional.writes", remedy: "if the server does not know If-None-Match, set enable.conditional.writes=false"}
	case "InvalidStorageClass":
		return trouble{key: "s3.storage.class", remedy: "use a storage class that the server knows"}
	}
	switch {
	case status == http.StatusMovedPermanently:
		return trouble{key: "s3.region", remedy: regionRemedy(region)}
	case status == http.StatusNotFound:
		return trouble{key: "s3.bucket.name", remedy: fmt.Sprintf("create the bucket %s, or correct s3.bucket.name", s.bucket)}
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return trouble{key: "s3.bucket.name", remedy: fmt.Sprintf("allow s3:ListBucket on the bucket %s, and s3:PutObject, s3:GetObject "+
			"and s3:AbortMultipartUpload on its objects, to this user", s.bucket)}
	case status >= 500 || status == http.StatusTooManyRequests:
		return trouble{key: s.endpointKey(), remedy: "wait until the server is well again: nothing is lost meanwhile"}
	case status == 0 && unreachable(err):
		return trouble{key: s.endpointKey(), remedy: fmt.Sprintf("check that %s is the right address and can be reached from here", s.endpoint())}
	case status == 0 && noCredentials(err):
		return trouble{key: "aws.access.key.id", remedy: "set aws.access.key.id and aws.secret.access.key, or start the hub with " +
			"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials, or give this machine a role"}
	}
	return trouble{key: s.endpointKey()}
}

func regionRemedy(region string) string {
	if region == "" {
		return "set s3.region to the bucket's region"
	}
	return fmt.Sprintf("set s3.region=%s, the bucket's region", region)
}

// storeError classes an error of the S3 client.
func (s *settings) storeError(op string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if mine := (*connectors.Error)(nil); errors.As(err, &mine) {
		return mine
	}
	t := s.diagnose(err)
	return &connectors.Error{Op: op, Class: connectors.ClassEnvironment, Retriable: !t.permanent, Err: cause(err), Remedy: t.remedy}
}

// cause is the part of an SDK error that says something: the SDK wraps it in names of its own layers.
func cause(err error) error {
	status, code, _ := answer(err)
	if api := smithy.APIError(nil); errors.As(err, &api) && status != 0 {
		message := api.ErrorMessage()
		if message == "" {
			message = http.StatusText(status)
		}
		return &cleared{fmt.Sprintf("HTTP %d %s: %s", status, code, message), err}
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return &cleared{op.Error(), err}
	}
	if missing := (*credentialsError)(nil); errors.As(err, &missing) {
		return &cleared{missing.Error(), err}
	}
	return err
}

// cleared is an error with a text that says what matters.
type cleared struct {
	text string
	err  error
}

// Error implements error.
func (c *cleared) Error() string { return c.text }

// Unwrap returns the cause.
func (c *cleared) Unwrap() error { return c.err }

func unreachable(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &op) || errors.As(err, &dns) || errors.Is(err, context.DeadlineExceeded)
}

func noCredentials(err error) bool {
	return errors.As(err, new(*credentialsError))
}

// credentialsError says that none of the ways to credentials led anywhere.
type credentialsError struct {
	err         error
	key, remedy string // "" if that is not known
}

// Error implements error.
func (e *credentialsError) Error() string { return "no credentials found: " + e.err.Error() }

// Unwrap returns the cause.
func (e *credentialsError) Unwrap() error { return e.err }
