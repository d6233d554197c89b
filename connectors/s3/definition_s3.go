package s3

import (
	"errors"
	"net/url"
	"strconv"

	"github.com/sluicehub/sluice/configs"
)

// minPart is the smallest part of a multipart upload that is not its last, by the protocol.
const minPart = 5 << 20

func bucketKeys() []configs.Key {
	return []configs.Key{
		{Name: "s3.bucket.name", Type: configs.String, Required: true, Importance: configs.High, Group: groupS3, Width: configs.WidthLong,
			Example: "orders-lake", Doc: "Bucket to write to. It must exist."},
		{Name: "s3.region", Type: configs.String, Default: "us-west-2", Importance: configs.Medium, Group: groupS3, Doc: "AWS region of the bucket."},
		{Name: "store.url", Type: configs.String, Importance: configs.Low, Group: groupStorage, Width: configs.WidthLong, Example: "http://127.0.0.1:9000",
			Check: checkURL, Doc: "Address of the server, if it is not Amazon's."},
		{Name: "s3.path.style.access.enabled", Type: configs.Boolean, Default: "true", Importance: configs.Low, Group: groupS3,
			Doc: "Name the bucket in the path of requests, and not in the host name. Most servers other than Amazon's need it."},
		{Name: "s3.wan.mode", Type: configs.Boolean, Default: "false", Importance: configs.Medium, Group: groupS3,
			Doc: "Use Amazon's accelerated endpoint. Needs s3.path.style.access.enabled=false."},
		{Name: "storage.class", Type: configs.Class, Default: "io.confluent.connect.s3.storage.S3Storage", Importance: configs.Low, Group: groupStorage,
			Check: checkStorage, Doc: "Only S3Storage. The storage class of objects is s3.storage.class."},
		{Name: "s3.storage.class", Type: configs.String, Importance: configs.Low, Group: groupS3, Example: "STANDARD_IA",
			Doc: "Amazon's storage class of the objects. The bucket's own, if it is not given."},
		{Name: "topics.dir", Type: configs.String, Default: "topics", Importance: configs.High, Group: groupStorage, Doc: "Directory of all objects. It may be empty."},
		{Name: "directory.delim", Type: configs.String, Default: "/", Importance: configs.Medium, Group: groupStorage, Doc: "What separates directories in object names."},
		{Name: "file.delim", Type: configs.String, Default: "+", Importance: configs.Medium, Group: groupStorage, Doc: "What separates topic, partition and offset in object names."},
		{Name: "filename.offset.zero.pad.width", Type: configs.Int, Default: "10", Min: "0", Max: "100", Importance: configs.Low, Group: groupStorage,
			Doc: "Number of digits of the offset in object names."},
		{Name: "s3.acl.canned", Type: configs.String, Importance: configs.Low, Group: groupS3, Enum: []string{"private", "public-read", "public-read-write",
			"authenticated-read", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control", "log-delivery-write"},
			Doc: "Canned access control list of the objects."},
		{Name: "s3.ssea.name", Type: configs.String, Importance: configs.Low, Group: groupS3, Enum: []string{"AES256", "aws:kms", "aws:kms:dsse"},
			Doc: "Server-side encryption of the objects."},
		{Name: "s3.sse.kms.key.id", Type: configs.String, Importance: configs.Low, Group: groupS3, Doc: "KMS key of the encryption, for aws:kms."},
		{Name: "s3.sse.customer.key", Type: configs.Password, Importance: configs.Low, Group: groupS3, Check: checkCustomerKey,
			Doc: "Key of 256 bits in base64, if the server is to encrypt with a key that it does not keep."},
		{Name: "s3.object.tagging", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupS3,
			Doc: "Tag the objects with startOffset, endOffset and recordCount."},
		{Name: "s3.object.tagging.key.value.pairs", Type: configs.List, Importance: configs.Low, Group: groupS3, Example: "team:billing,env:prod",
			Doc: "More tags of the objects, key:value."},
	}
}

func credentialKeys() []configs.Key {
	const provider = providerKey
	return []configs.Key{
		{Name: "aws.access.key.id", Type: configs.String, Importance: configs.High, Group: groupS3,
			Doc: "Access key. Without one, the files in ~/.aws and the role of the machine are tried."},
		{Name: "aws.secret.access.key", Type: configs.Password, Importance: configs.High, Group: groupS3, Doc: "Secret of the access key."},
		{Name: "aws.session.token", Type: configs.Password, Importance: configs.Low, Group: groupS3, Doc: "Session token of temporary credentials."},
		{Name: "aws.profile", Type: configs.String, Importance: configs.Low, Group: groupS3, Doc: "Profile in the files in ~/.aws."},
		{Name: provider + "class", Type: configs.Class, Default: "com.amazonaws.auth.DefaultAWSCredentialsProviderChain", Importance: configs.Low, Group: groupS3,
			Check: checkProvider, Doc: "Where credentials come from: a class of Amazon's Java SDK or Confluent's, or what it stands for: default (environment, " +
				"files in ~/.aws, web identity, container, machine), environment, profile, instance, web, role or anonymous."},
		{Name: provider + "sts.role.arn", Type: configs.String, Importance: configs.Low, Group: groupS3, Aliases: []string{"aws.sts.role.arn"},
			Doc: "Role to assume."},
		{Name: provider + "sts.role.external.id", Type: configs.String, Importance: configs.Low, Group: groupS3, Aliases: []string{"aws.sts.role.external.id"},
			Doc: "External id given when the role is assumed."},
		{Name: provider + "sts.role.session.name", Type: configs.String, Default: "sluice", Importance: configs.Low, Group: groupS3,
			Aliases: []string{"aws.sts.role.session.name"}, Doc: "Session name given when the role is assumed."},
		{Name: provider + "sts.base.role.arn", Type: configs.String, Importance: configs.Low, Group: groupS3, Doc: "Role to assume first, with which then the other is assumed."},
		{Name: provider + "sts.base.session.name", Type: configs.String, Default: "sluice", Importance: configs.Low, Group: groupS3,
			Doc: "Session name given when the first role is assumed."},
		{Name: provider + "web.identity.token.file", Type: configs.String, Importance: configs.Low, Group: groupS3, Aliases: []string{"aws.web.identity.token.file"},
			Doc: "File of the token for web identity; AWS_WEB_IDENTITY_TOKEN_FILE of the hub, if it is not given."},
		{Name: provider + "sts.aws.region", Type: configs.String, Importance: configs.Low, Group: groupS3, Doc: "Region of the token service; s3.region, if it is not given."},
		{Name: provider + "*", Type: configs.String, Importance: configs.Low, Group: groupS3, Secret: true,
			Notice: "This key is handed to no credentials provider: those that are built in have keys of their own.",
			Doc:    "Other settings of a provider class."},
		{Name: "s3.proxy.url", Type: configs.String, Importance: configs.Low, Group: groupS3, Check: checkURL, Example: "https://proxy:3128", Doc: "HTTP proxy to go through."},
		{Name: "s3.proxy.user", Type: configs.String, Importance: configs.Low, Group: groupS3, Doc: "User of the proxy."},
		{Name: "s3.proxy.password", Type: configs.Password, Importance: configs.Low, Group: groupS3, Doc: "Password of the proxy."},
	}
}

func reliabilityKeys() []configs.Key {
	ignored := func(name string, typ configs.Type, def, why string) configs.Key {
		return configs.Key{Name: name, Type: typ, Default: def, Importance: configs.Low, Group: groupReliability, Doc: why, Notice: name + " has no effect here: " + why}
	}
	return []configs.Key{
		{Name: "s3.part.size", Type: configs.Int, Default: "26214400", Min: strconv.Itoa(minPart), Importance: configs.High, Group: groupReliability, Unit: "bytes",
			Doc: "Size of the parts of large objects. Smaller objects are uploaded with one request."},
		{Name: "s3.buffer.memory.bytes", Type: configs.Long, Default: strconv.Itoa(defaultMemory), Min: "1048576", Importance: configs.Low, Group: groupReliability, Unit: "bytes",
			Doc: "Memory for what waits for its upload, of all tasks of a connector together. What does not fit waits in temporary files."},
		{Name: "s3.part.retries", Type: configs.Int, Default: "3", Min: "0", Importance: configs.Medium, Group: groupReliability,
			Doc: "How often a failed request is repeated before the task reports it."},
		{Name: "s3.retry.backoff.ms", Type: configs.Long, Default: "200", Min: "0", Importance: configs.Low, Group: groupReliability, Unit: "ms",
			Doc: "Wait before the first repetition. It doubles each time, with full jitter."},
		{Name: "s3.send.digest", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupReliability,
			Doc: "Send a SHA-256 checksum with each request, which the server keeps with the object."},
		{Name: "enable.conditional.writes", Type: configs.Boolean, Default: "true", Importance: configs.Low, Group: groupReliability,
			Doc: "With rotation by the clock: never overwrite an object that another writer has made (If-None-Match). Switch it off for servers that do not know it."},
		ignored("retry.backoff.ms", configs.Long, "5000", "the hub's own back-off decides when a task goes on after an error"),
		ignored("max.write.duration.ms", configs.Long, "9223372036854775807", "a slow upload does not cost the task its partitions"),
		ignored("s3.http.send.expect.continue", configs.Boolean, "true", "requests are sent without waiting for 100-continue below 2 MiB, and with it above"),
		ignored("s3.elastic.buffer.enable", configs.Boolean, "false", "buffers always grow with what is in them"),
		ignored("s3.elastic.buffer.init.capacity", configs.Int, "131072", "buffers always grow with what is in them"),
		ignored("s3.object.behavior.on.tagging.error", configs.String, "ignore", "tags are written with the object, by the same request"),
		ignored("format.class.schemas.enable", configs.Boolean, "false", "files carry no schema per record"),
	}
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if text != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("must be a URL such as https://host:9000")
	}
	return nil
}

func checkStorage(class string) error {
	if pick([]choice{{"s3", "io.confluent.connect.s3.storage.S3Storage"}}, class) == "" {
		return errors.New("must be io.confluent.connect.s3.storage.S3Storage; Amazon's storage class of objects is s3.storage.class")
	}
	return nil
}

func checkCustomerKey(text string) error {
	if text == "" {
		return nil
	}
	if _, err := decodeCustomerKey(text); err != nil {
		return errors.New("must be 32 bytes in base64")
	}
	return nil
}
