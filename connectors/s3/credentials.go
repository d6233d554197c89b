package s3

import (
	"cmp"
	"context"
	"errors"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/sluicehub/sluice/configs"
)

// providerKey begins the keys of a credentials provider.
const providerKey = "s3.credentials.provider."

// providers are the classes of credentials providers that have a counterpart here: those of Amazon's Java SDK, in both
// of its versions, and Confluent's for roles.
func providers() []choice {
	const v1, v2 = "com.amazonaws.auth.", "software.amazon.awssdk.auth.credentials."
	return []choice{
		{"default", v1 + "DefaultAWSCredentialsProviderChain"}, {"default", v2 + "DefaultCredentialsProvider"},
		{"environment", v1 + "EnvironmentVariableCredentialsProvider"},
		{"profile", v1 + "profile.ProfileCredentialsProvider"},
		{"instance", v1 + "InstanceProfileCredentialsProvider"},
		{"default", v1 + "EC2ContainerCredentialsProviderWrapper"}, // the container's role, or else the machine's
		{"default", v2 + "ContainerCredentialsProvider"},
		{"web", v1 + "WebIdentityTokenCredentialsProvider"}, {"web", v2 + "WebIdentityTokenFileCredentialsProvider"},
		{"role", "io.confluent.connect.s3.auth.AwsAssumeRoleCredentialsProvider"},
		{"anonymous", "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider"}, {"anonymous", v2 + "AnonymousCredentialsProvider"},
		{"system", v1 + "SystemPropertiesCredentialsProvider"}, {"system", v2 + "SystemPropertyCredentialsProvider"},
	}
}

func checkProvider(class string) error {
	switch pick(providers(), class) {
	case "system":
		return errors.New("reads the properties of a Java machine, and there is none; set aws.access.key.id and aws.secret.access.key")
	case "":
		return errors.New("must be default, environment, profile, instance, web, role or anonymous, or one of the classes they stand for: " +
			"DefaultAWSCredentialsProviderChain, EnvironmentVariableCredentialsProvider, ProfileCredentialsProvider, InstanceProfileCredentialsProvider, " +
			"EC2ContainerCredentialsProviderWrapper, WebIdentityTokenCredentialsProvider, AwsAssumeRoleCredentialsProvider, AnonymousAWSCredentialsProvider; " +
			"classes of one's own cannot be loaded")
	}
	return nil
}

// checkCredentials looks at what a provider needs of the configuration.
func checkCredentials(v configs.Values) []configs.Problem {
	if pick(providers(), v.String(providerKey+"class")) == "role" && v.String(providerKey+"sts.role.arn") == "" {
		return []configs.Problem{configs.KeyError(providerKey+"sts.role.arn", "AwsAssumeRoleCredentialsProvider needs the role to assume.")}
	}
	return nil
}

// provide puts the credentials that the configuration asks for in the place of those that the default chain found.
// Given keys go before any provider, as in Confluent's sink, but for a role: that is assumed with them.
func provide(v configs.Values, loaded *aws.Config) error {
	kind := pick(providers(), v.String(providerKey+"class"))
	if v.String("aws.access.key.id") == "" {
		var err error
		switch kind {
		case "environment":
			loaded.Credentials, err = fromEnvironment()
		case "instance":
			client := imds.NewFromConfig(*loaded)
			loaded.Credentials = aws.NewCredentialsCache(ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client }))
		case "web":
			loaded.Credentials, err = webIdentity(v, *loaded)
			loaded.Credentials = named{loaded.Credentials}
			return err // the role is a part of it
		case "anonymous":
			loaded.Credentials = aws.AnonymousCredentials{}
			return nil
		}
		if err != nil {
			return err
		}
	}
	if arn := v.String(providerKey + "sts.base.role.arn"); arn != "" {
		loaded.Credentials = assumeRole(v, *loaded, arn, v.String(providerKey+"sts.base.session.name"), "")
	}
	if arn := v.String(providerKey + "sts.role.arn"); arn != "" {
		loaded.Credentials = assumeRole(v, *loaded, arn, v.String(providerKey+"sts.role.session.name"), v.String(providerKey+"sts.role.external.id"))
	}
	loaded.Credentials = named{loaded.Credentials}
	return nil
}

// fromEnvironment returns the credentials in the environment, and in nothing else.
func fromEnvironment() (aws.CredentialsProvider, error) {
	env, err := awsconfig.NewEnvConfig()
	if err == nil && !env.Credentials.HasKeys() {
		err = errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not in the environment of the hub")
	}
	if err != nil {
		return nil, &credentialsError{err: err, key: providerKey + "class", remedy: "start the hub with them, or set aws.access.key.id and aws.secret.access.key"}
	}
	return credentials.StaticCredentialsProvider{Value: env.Credentials}, nil
}

// webIdentity exchanges a token in a file, such as Kubernetes gives to a pod, for the credentials of a role.
func webIdentity(v configs.Values, loaded aws.Config) (aws.CredentialsProvider, error) {
	file := cmp.Or(v.String(providerKey+"web.identity.token.file"), os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"))
	arn := cmp.Or(v.String(providerKey+"sts.role.arn"), os.Getenv("AWS_ROLE_ARN"))
	switch {
	case file == "":
		return nil, &credentialsError{err: errors.New("no file with a web identity token is named"), key: providerKey + "web.identity.token.file",
			remedy: "set " + providerKey + "web.identity.token.file, or AWS_WEB_IDENTITY_TOKEN_FILE in the environment of the hub"}
	case arn == "":
		return nil, &credentialsError{err: errors.New("no role is named for the web identity token"), key: providerKey + "sts.role.arn",
			remedy: "set " + providerKey + "sts.role.arn, or AWS_ROLE_ARN in the environment of the hub"}
	}
	loaded.Credentials = aws.AnonymousCredentials{} // the token is what the request is allowed by
	return aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(tokenService(v, loaded), arn, stscreds.IdentityTokenFile(file),
		func(o *stscreds.WebIdentityRoleOptions) {
			o.RoleSessionName = cmp.Or(os.Getenv("AWS_ROLE_SESSION_NAME"), v.String(providerKey+"sts.role.session.name"))
		})), nil
}

// assumeRole returns the credentials of a role, which is assumed with those at hand.
func assumeRole(v configs.Values, loaded aws.Config, arn, session, externalID string) aws.CredentialsProvider {
	return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(tokenService(v, loaded), arn, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = session
		if externalID != "" {
			o.ExternalID = &externalID
		}
	}))
}

func tokenService(v configs.Values, loaded aws.Config) *sts.Client {
	return sts.NewFromConfig(loaded, func(o *sts.Options) {
		if region := v.String(providerKey + "sts.aws.region"); region != "" {
			o.Region = region
		}
	})
}

// named marks the errors of a credentials provider, which are otherwise hard to tell from those of a request.
type named struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (n named) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := n.CredentialsProvider.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		err = &credentialsError{err: err}
	}
	return c, err
}
