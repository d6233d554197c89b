package services

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestS3KeepsItsDataWhenKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := use(t, StartS3)
	bucket, client := s.NewBucket(t), s.Client()
	put := func(body string, ifNoneMatch *string) error {
		_, err := client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &bucket, Key: aws.String("topics/orders/0.json"), Body: strings.NewReader(body), IfNoneMatch: ifNoneMatch,
		})
		return err
	}
	if err := put("first", nil); err != nil {
		t.Fatal(err)
	}
	if err := put("second", aws.String("*")); err == nil {
		t.Error("If-None-Match: * overwrote an object")
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("topics/orders/0.json")})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if body, err := io.ReadAll(got.Body); err != nil || string(body) != "first" {
		t.Errorf("object holds %q after the restart, error %v", body, err)
	}
}

func TestS3RemovesTheTestsBucket(t *testing.T) {
	t.Parallel()
	s := UseS3(t)
	var bucket string
	t.Run("inner", func(t *testing.T) {
		bucket = s.NewBucket(t)
		client := s.Client()
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("a/b/c"), Body: strings.NewReader("x")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: aws.String("a/unfinished")})
		if err != nil {
			t.Fatal(err)
		}
	})
	_, err := s.Client().HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &bucket})
	if missing := (*types.NotFound)(nil); !errors.As(err, &missing) {
		t.Errorf("bucket is still there, or: %v", err)
	}
}
