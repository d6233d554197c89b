package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// errExists says that an object is there that must not be overwritten.
var errExists = errors.New("the object exists")

// store is what a task does with a bucket. Its methods may be called from several goroutines, and repeat a failed request
// themselves; an error of theirs is final for the call.
type store interface {
	// put makes an object with one request. With ifAbsent it returns errExists if there is one already.
	put(ctx context.Context, key string, body io.ReadSeeker, size int64, about metadata, ifAbsent bool) error
	// create begins an upload in parts. Nothing of it is visible before complete.
	create(ctx context.Context, key string, about metadata) (upload string, err error)
	// part uploads the part of that number, from 1, and returns its tag.
	part(ctx context.Context, key, upload string, number int32, body io.ReadSeeker, size int64) (tag string, err error)
	complete(ctx context.Context, key, upload string, tags []string, ifAbsent bool) error
	abort(ctx context.Context, key, upload string) error
	// head returns what is known of an object; found is false if there is none.
	head(ctx context.Context, key string) (about metadata, found bool, err error)
}

// metadata is what is kept with an object about its contents: which records went into the rotation that it belongs to.
type metadata struct {
	start, end int64 // offsets of the first record, and after the last
	records    int64
	first      int64 // timestamp of the first record
}

// Names of the metadata, without the prefix x-amz-meta- that the protocol puts before them.
const (
	metaStart   = "sluice-start-offset"
	metaEnd     = "sluice-end-offset"
	metaRecords = "sluice-record-count"
	metaFirst   = "sluice-first-timestamp"
)

func (m metadata) pairs() map[string]string {
	if m.end == 0 {
		return nil // begun before its end was known
	}
	return map[string]string{metaStart: strconv.FormatInt(m.start, 10), metaEnd: strconv.FormatInt(m.end, 10),
		metaRecords: strconv.FormatInt(m.records, 10), metaFirst: strconv.FormatInt(m.first, 10)}
}

func parseMetadata(pairs map[string]string) (m metadata) {
	number := func(name string) int64 {
		for k, v := range pairs {
			if strings.EqualFold(k, name) {
				n, err := strconv.ParseInt(v, 10, 64)
				if err == nil {
					return n
				}
			}
		}
		return 0
	}
	return metadata{start: number(metaStart), end: number(metaEnd), records: number(metaRecords), first: number(metaFirst)}
}

// bucketStore is the store in a bucket of an S3 server.
type bucketStore struct {
	client   *awss3.Client
	bucket   *string
	settings *settings
	o        objectOptions
	close    func() // ends the connections that nobody uses
}

// objectOptions are the properties of every object, zero where they are not given.
type objectOptions struct {
	acl            types.ObjectCannedACL
	encryption     types.ServerSideEncryption
	kmsKey         *string
	customerAlg    *string
	customerKey    *string // base64
	customerKeyMD5 *string
	class          types.StorageClass
	tags           string // as in a query, without what differs between objects
	tagRecords     bool
	checksum       types.ChecksumAlgorithm
}

func (o *objectOptions) setCustomerKey(key []byte) {
	sum := md5.Sum(key)
	o.customerAlg = aws.String("AES256")
	o.customerKey = aws.String(base64.StdEncoding.EncodeToString(key))
	o.customerKeyMD5 = aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

func (o *objectOptions) tagging(m metadata) *string {
	tags := o.tags
	if o.tagRecords && m.end > 0 {
		own := fmt.Sprintf("startOffset=%d&endOffset=%d&recordCount=%d", m.start, m.end-1, m.records)
		tags = strings.TrimPrefix(tags+"&"+own, "&")
	}
	if tags == "" {
		return nil
	}
	return &tags
}

// onlyIfAbsent is the condition of a write that must not overwrite.
func onlyIfAbsent(yes bool) *string {
	if yes {
		return aws.String("*")
	}
	return nil
}

func (s *bucketStore) put(ctx context.Context, key string, body io.ReadSeeker, size int64, about metadata, ifAbsent bool) error {
	out, err := s.client.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: s.bucket, Key: &key, Body: body, ContentLength: &size, Metadata: about.pairs(), IfNoneMatch: onlyIfAbsent(ifAbsent),
		ACL: s.o.acl, ServerSideEncryption: s.o.encryption, SSEKMSKeyId: s.o.kmsKey, StorageClass: s.o.class, Tagging: s.o.tagging(about),
		SSECustomerAlgorithm: s.o.customerAlg, SSECustomerKey: s.o.customerKey, SSECustomerKeyMD5: s.o.customerKeyMD5, ChecksumAlgorithm: s.o.checksum,
	})
	if err == nil {
		return s.given("put object "+key, "ETag", out.ETag)
	}
	return s.written("put object "+key, err)
}

func (s *bucketStore) create(ctx context.Context, key string, about metadata) (string, error) {
	out, err := s.client.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{
		Bucket: s.bucket, Key: &key, Metadata: about.pairs(),
		ACL: s.o.acl, ServerSideEncryption: s.o.encryption, SSEKMSKeyId: s.o.kmsKey, StorageClass: s.o.class, Tagging: s.o.tagging(about),
		SSECustomerAlgorithm: s.o.customerAlg, SSECustomerKey: s.o.customerKey, SSECustomerKeyMD5: s.o.customerKeyMD5, ChecksumAlgorithm: s.o.checksum,
	})
	if err != nil {
		return "", s.settings.storeError("begin the upload of object "+key, err)
	}
	return aws.ToString(out.UploadId), s.given("begin the upload of object "+key, "UploadId", out.UploadId)
}

func (s *bucketStore) part(ctx context.Context, key, upload string, number int32, body io.ReadSeeker, size int64) (string, error) {
	out, err := s.client.UploadPart(ctx, &awss3.UploadPartInput{
		Bucket: s.bucket, Key: &key, UploadId: &upload, PartNumber: &number, Body: body, ContentLength: &size, ChecksumAlgorithm: s.o.checksum,
		SSECustomerAlgorithm: s.o.customerAlg, SSECustomerKey: s.o.customerKey, SSECustomerKeyMD5: s.o.customerKeyMD5,
	})
	if err != nil {
		return "", s.settings.storeError(fmt.Sprintf("upload part %d of object %s", number, key), err)
	}
	return aws.ToString(out.ETag), s.given(fmt.Sprintf("upload part %d of object %s", number, key), "ETag", out.ETag)
}

func (s *bucketStore) complete(ctx context.Context, key, upload string, tags []string, ifAbsent bool) error {
	parts := make([]types.CompletedPart, len(tags))
	for i := range tags {
		parts[i] = types.CompletedPart{ETag: &tags[i], PartNumber: aws.Int32(int32(i + 1))}
	}
	out, err := s.client.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: s.bucket, Key: &key, UploadId: &upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}, IfNoneMatch: onlyIfAbsent(ifAbsent),
		SSECustomerAlgorithm: s.o.customerAlg, SSECustomerKey: s.o.customerKey, SSECustomerKeyMD5: s.o.customerKeyMD5,
	})
	if err == nil {
		return s.given("complete the upload of object "+key, "ETag", out.ETag)
	}
	return s.written("complete the upload of object "+key, err)
}

func (s *bucketStore) abort(ctx context.Context, key, upload string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: s.bucket, Key: &key, UploadId: &upload})
	if err != nil {
		return s.settings.storeError("abort the upload of object "+key, err)
	}
	return nil
}

func (s *bucketStore) head(ctx context.Context, key string) (metadata, bool, error) {
	out, err := s.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: s.bucket, Key: &key,
		SSECustomerAlgorithm: s.o.customerAlg, SSECustomerKey: s.o.customerKey, SSECustomerKeyMD5: s.o.customerKeyMD5})
	if err == nil {
		return parseMetadata(out.Metadata), true, nil
	}
	// A missing bucket is not told from a missing object here; the write that follows will tell.
	if status, _, _ := answer(err); status == http.StatusNotFound {
		return metadata{}, false, nil
	}
	return metadata{}, false, s.settings.storeError("look for object "+key, err)
}

// given checks that it was an S3 server that answered with success: it says how it calls what it keeps. A page of a load
// balancer with the status 200 does not.
func (s *bucketStore) given(op, name string, value *string) error {
	if aws.ToString(value) != "" {
		return nil
	}
	return environment(op, fmt.Errorf("the answer is a success without %s, which every S3 server gives", name),
		fmt.Sprintf("check that %s leads to the S3 server: something in front of it has answered", s.settings.endpoint()))
}

// written classes the error of what makes an object visible.
func (s *bucketStore) written(op string, err error) error {
	if err == nil {
		return nil
	}
	if status, code, _ := answer(err); status == http.StatusPreconditionFailed || code == "PreconditionFailed" {
		return errExists
	}
	return s.settings.storeError(op, err)
}
