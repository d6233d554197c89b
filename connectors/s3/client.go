package s3

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

const (
	// dialTimeout is how long it may take to connect.
	dialTimeout = 10 * time.Second
	// answerTimeout is how long a server may think before its answer begins.
	answerTimeout = 2 * time.Minute
)

// dial makes the store that a configuration names. It does no request to the bucket.
func dial(ctx context.Context, v configs.Values, s *settings) (store, error) {
	b, err := newBucketStore(ctx, v, s)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func newBucketStore(ctx context.Context, v configs.Values, s *settings) (*bucketStore, error) {
	loaded, err := loadConfig(ctx, v, s)
	if err != nil {
		return nil, s.storeError("load the AWS configuration", err)
	}
	transport, err := newTransport(v, loaded.HTTPClient)
	if err != nil {
		return nil, &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	loaded.HTTPClient = newHTTPClient(transport)
	if err := provide(v, &loaded); err != nil {
		return nil, s.storeError("find credentials", err)
	}
	client := awss3.NewFromConfig(loaded, func(o *awss3.Options) {
		o.UsePathStyle = s.pathStyle
		o.UseAccelerate = v.Bool("s3.wan.mode")
		if s.url != "" {
			o.BaseEndpoint = aws.String(strings.TrimSuffix(s.url, "/"))
		}
		// Checksums that are not asked for stop some servers other than Amazon's.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	o, err := newObjectOptions(v)
	if err != nil {
		return nil, err
	}
	return &bucketStore{client: client, bucket: &s.bucket, settings: s, o: o, close: transport.CloseIdleConnections}, nil
}

func newObjectOptions(v configs.Values) (o objectOptions, err error) {
	o.acl = types.ObjectCannedACL(v.String("s3.acl.canned"))
	o.encryption = types.ServerSideEncryption(v.String("s3.ssea.name"))
	o.class = types.StorageClass(v.String("s3.storage.class"))
	o.tagRecords = v.Bool("s3.object.tagging")
	if key := v.String("s3.sse.kms.key.id"); key != "" {
		o.kmsKey = &key
	}
	if v.Bool("s3.send.digest") {
		o.checksum = types.ChecksumAlgorithmSha256
	}
	if text := v.Password("s3.sse.customer.key").Reveal(); text != "" {
		key, err := decodeCustomerKey(text)
		if err != nil {
			return o, &connectors.Error{Op: "read s3.sse.customer.key", Class: connectors.ClassConfig, Err: errors.New("not 32 bytes in base64")}
		}
		o.encryption = "" // the customer's key says it all
		o.setCustomerKey(key)
	}
	tags := url.Values{}
	for _, pair := range v.List("s3.object.tagging.key.value.pairs") {
		if name, value, ok := strings.Cut(pair, ":"); ok && o.tagRecords {
			tags.Set(name, value)
		}
	}
	o.tags = tags.Encode()
	return o, nil
}

// loadConfig finds region, credentials and the way through a proxy. Of the hub's environment a connector has HOME and what
// begins with AWS_. A hub that is a service may have no HOME, by which the SDK looks for the files in the home folder.
func loadConfig(ctx context.Context, v configs.Values, s *settings) (aws.Config, error) {
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRegion(s.region),
		awsconfig.WithRetryer(func() aws.Retryer {
			return newRetryer(v.Int("s3.part.retries"), v.Duration("s3.retry.backoff.ms"))
		}),
	}
	if me, err := user.Current(); err == nil && os.Getenv("HOME") == "" {
		dir := filepath.Join(me.HomeDir, ".aws")
		options = append(options,
			awsconfig.WithSharedConfigFiles([]string{cmp.Or(os.Getenv("AWS_CONFIG_FILE"), filepath.Join(dir, "config"))}),
			awsconfig.WithSharedCredentialsFiles([]string{cmp.Or(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), filepath.Join(dir, "credentials"))}))
	}
	profile := v.String("aws.profile")
	if kind := pick(providers(), v.String(providerKey+"class")); kind == "profile" {
		profile = cmp.Or(profile, os.Getenv("AWS_PROFILE"), "default") // a profile that is named goes before the environment
	}
	if profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(profile))
	}
	if id := v.String("aws.access.key.id"); id != "" {
		options = append(options, awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(
			id, v.Password("aws.secret.access.key").Reveal(), v.Password("aws.session.token").Reveal())))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return loaded, &credentialsError{err: err}
	}
	return loaded, nil
}

// newTransport makes the connections to the server and, if there is one, through the proxy. What the AWS configuration
// says of certificates is in its own client.
func newTransport(v configs.Values, of aws.HTTPClient) (*http.Transport, error) {
	t := &http.Transport{}
	if b, ok := of.(*awshttp.BuildableClient); ok {
		t = b.GetTransport()
	}
	t.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: dialTimeout}).DialContext
	t.ResponseHeaderTimeout = answerTimeout
	t.MaxIdleConnsPerHost = 2 * uploadsAtOnce
	t.IdleConnTimeout = time.Minute
	t.WriteBufferSize = chunkSize
	t.Proxy = nil
	text := v.String("s3.proxy.url")
	if text == "" {
		return t, nil
	}
	proxy, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("s3.proxy.url is not a URL") // its text may hold a password
	}
	if name := v.String("s3.proxy.user"); name != "" {
		proxy.User = url.UserPassword(name, v.Password("s3.proxy.password").Reveal())
	}
	t.Proxy = http.ProxyURL(proxy)
	return t, nil
}

// newHTTPClient follows only the redirects that keep method and body; of others the SDK makes an error.
func newHTTPClient(t *http.Transport) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if code := r.Response.StatusCode; code != http.StatusTemporaryRedirect && code != http.StatusPermanentRedirect {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// newRetryer repeats a request that failed with 5xx, throttling or a broken connection.
func newRetryer(retries int, backoff time.Duration) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = retries + 1
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return jittered(backoff, attempt), nil
		})
		o.RateLimiter = ratelimit.None // the number of repetitions is the user's setting
	})
}

// maxBackoff bounds the wait between repetitions.
const maxBackoff = 30 * time.Second

// jittered is a random time up to the backoff doubled for every attempt.
func jittered(backoff time.Duration, attempt int) time.Duration {
	d := backoff
	for ; attempt > 0 && d < maxBackoff; attempt-- {
		d *= 2
	}
	if d = min(d, maxBackoff); d <= 0 {
		return 0
	}
	return rand.N(d)
}
