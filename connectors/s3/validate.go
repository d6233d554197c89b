package s3

import (
	"context"
	"maps"
	"net/http"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// Validate implements connectors.Validator: it asks for the bucket, and whether it may write there.
func (c *connector) Validate(ctx context.Context, config map[string]string) []configs.Problem {
	config = maps.Clone(config)
	config["s3.part.retries"] = "0" // a person is waiting
	v, problems := c.definition.Parse(config)
	if configs.Err(problems) != nil {
		return nil // the definition's own checks say so
	}
	s, err := newSettings(v, config)
	if err != nil {
		return []configs.Problem{configs.KeyError("timezone", err.Error())}
	}
	b, err := newBucketStore(ctx, v, s)
	if err != nil {
		return []configs.Problem{s.problem(err)}
	}
	defer b.close()
	if err := b.check(ctx); err != nil {
		return []configs.Problem{s.problem(err)}
	}
	if err := b.tryWrite(ctx); err != nil {
		return []configs.Problem{s.problem(err)}
	}
	return nil
}

// problem puts an error on the key that it belongs to.
func (s *settings) problem(err error) configs.Problem {
	return configs.KeyError(s.diagnose(err).key, err.Error())
}

// check asks whether the bucket is there. The answer to HeadBucket has no text, so a second question learns the reason.
func (s *bucketStore) check(ctx context.Context) error {
	_, err := s.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: s.bucket})
	status, _, _ := answer(err)
	switch {
	case err == nil:
		return nil
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		one := int32(1)
		_, more := s.client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: s.bucket, MaxKeys: &one})
		_, code, _ := answer(more)
		if more == nil || code == "AccessDenied" {
			// Who may only write objects cannot see the bucket. Whether it is so shows with the first object.
			return nil
		}
		err = more
	}
	return s.settings.storeError("look for the bucket "+*s.bucket, err)
}

// tryWrite begins an upload and aborts it: that needs the right to write, and leaves nothing behind.
func (s *bucketStore) tryWrite(ctx context.Context) error {
	key := s.settings.topicsDir + s.settings.delim + ".sluice-probe"
	out, err := s.client.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: s.bucket, Key: &key,
		ACL: s.o.acl, ServerSideEncryption: s.o.encryption, SSEKMSKeyId: s.o.kmsKey, StorageClass: s.o.class,
		SSECustomerAlgorithm: s.o.customerAlg, SSECustomerKey: s.o.customerKey, SSECustomerKeyMD5: s.o.customerKeyMD5})
	if err != nil {
		return s.settings.storeError("try to write to the bucket "+*s.bucket, err)
	}
	return s.abort(ctx, key, *out.UploadId)
}

var _ connectors.Validator = (*connector)(nil)
