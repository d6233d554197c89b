package services

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// versitygw is the S3 server: Apache-2.0, built from its Go module, objects
// kept as files. It knows multipart uploads and If-Match/If-None-Match as AWS
// does.
const versitygwVersion = "v1.8.0"

// S3 is an S3 server that is addressed path-style.
type S3 struct {
	*Server
	// URL is its base, without a slash at the end.
	URL string
	// AccessKey and SecretKey may do everything, in Region.
	AccessKey, SecretKey, Region string
}

// FetchS3 builds the server program unless the cache has it, and returns its
// path.
func FetchS3(ctx context.Context) (string, error) {
	dir, err := fetched(ctx, "versitygw-"+versitygwVersion, func(ctx context.Context, dir string) error {
		env := []string{"GOBIN=" + dir, "GOFLAGS=", "CGO_ENABLED=0"}
		return tool(ctx, env, "https://go.dev/doc/install", "go", "install", "-trimpath", "-ldflags=-s -w",
			"github.com/versity/versitygw/cmd/versitygw@"+versitygwVersion)
	})
	return filepath.Join(dir, "versitygw"), err
}

// StartS3 starts an empty S3 server.
func StartS3(ctx context.Context) (*S3, error) {
	program, err := FetchS3(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := newDir("s3", nil)
	if err != nil {
		return nil, err
	}
	// The side folder, where the server keeps what is not content, must lie
	// outside the data.
	data, side := filepath.Join(dir, "data"), filepath.Join(dir, "side")
	err = errors.Join(os.Mkdir(data, 0o755), os.Mkdir(side, 0o755))
	var ports []*Port
	if err == nil {
		ports, err = reservePorts(1)
	}
	if err != nil {
		return nil, errors.Join(err, discard(dir, ports))
	}
	s := &S3{URL: "http://" + ports[0].Addr(), AccessKey: "sluice-test", SecretKey: "sluice-test-secret", Region: "us-east-1"}
	s.Server, err = launch(ctx, spec{
		name: "the S3 server", dir: dir, ports: ports,
		args:       []string{program, "--port", ports[0].Addr(), "--region", s.Region, "posix", "--sidecar", side, data},
		env:        []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey},
		stopSignal: syscall.SIGTERM,
		ready:      s.answers,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// UseS3 gives the test the server that EnvS3 names, else one of its own.
func UseS3(tb testing.TB) *S3 {
	tb.Helper()
	return use(tb, func(ctx context.Context) (*S3, error) {
		url, ok := named(EnvS3)
		if !ok {
			return StartS3(ctx)
		}
		s := &S3{Server: &Server{}, URL: url, AccessKey: os.Getenv(EnvS3AccessKey), SecretKey: os.Getenv(EnvS3SecretKey), Region: "us-east-1"}
		if err := s.answers(ctx); err != nil {
			return nil, fmt.Errorf("services: the server that %s names does not answer (keys in %s and %s): %w",
				EnvS3, EnvS3AccessKey, EnvS3SecretKey, err)
		}
		return s, nil
	})
}

// Env is the environment that names this server to other processes.
func (s *S3) Env() []string {
	return []string{EnvS3 + "=" + s.URL, EnvS3AccessKey + "=" + s.AccessKey, EnvS3SecretKey + "=" + s.SecretKey}
}

// Client is a client of this server. It may be used by several goroutines and
// outlives a restart of the server.
func (s *S3) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.URL),
		Region:       s.Region,
		UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey}, nil
		}),
	})
}

func (s *S3) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return err
	}
	// The first request without the client's retries, which hide the cause.
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	_, err = s.Client().ListBuckets(ctx, &s3.ListBucketsInput{})
	return err
}

// NewBucket makes an empty bucket for the test and returns its name. When the
// test ends it is removed with all objects and unfinished uploads in it.
func (s *S3) NewBucket(tb testing.TB) string {
	tb.Helper()
	name := uniqueName("sluice-test", "-")
	client := s.Client()
	if _, err := client.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		tb.Fatalf("create bucket %s: %v", name, err)
	}
	tb.Cleanup(func() {
		if s.watch != nil && s.PID() == 0 {
			return // the test ended the server and did not start it again
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := removeBucket(ctx, client, name); err != nil {
			tb.Errorf("remove bucket %s: %v", name, err)
		}
	})
	return name
}

func removeBucket(ctx context.Context, client *s3.Client, name string) error {
	uploads := s3.NewListMultipartUploadsPaginator(client, &s3.ListMultipartUploadsInput{Bucket: &name})
	for uploads.HasMorePages() {
		page, err := uploads.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, u := range page.Uploads {
			_, err := client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &name, Key: u.Key, UploadId: u.UploadId})
			if err != nil {
				return err
			}
		}
	}
	objects := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &name})
	for objects.HasMorePages() {
		page, err := objects.NextPage(ctx)
		if err != nil {
			return err
		}
		if len(page.Contents) == 0 {
			continue
		}
		var ids []types.ObjectIdentifier
		for _, o := range page.Contents {
			ids = append(ids, types.ObjectIdentifier{Key: o.Key})
		}
		_, err = client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &name, Delete: &types.Delete{Objects: ids}})
		if err != nil {
			return err
		}
	}
	_, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &name})
	return err
}
