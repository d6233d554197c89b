package s3

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/sluicehub/sluice/configs"
)

func checkCompression(v configs.Values) (problems []configs.Problem) {
	of := pick(formats(), v.String("format.class"))
	if v.String("s3.compression.type") == "none" || of == "json" || of == "bytes" {
		return nil
	}
	return []configs.Problem{configs.KeyWarning("s3.compression.type", "This has no effect: only JSON and bytes files can be compressed as a whole; use "+of+".codec for "+of+".")}
}

func checkPartitioner(v configs.Values) (problems []configs.Problem) {
	switch pick(partitioners(), v.String("partitioner.class")) {
	case "field":
		if len(v.List("partition.field.name")) == 0 {
			problems = append(problems, configs.KeyError("partition.field.name", "The Field partitioner needs partition.field.name."))
		}
	case "time":
		if v.String("path.format") == "" {
			problems = append(problems, configs.KeyError("path.format", "The TimeBased partitioner needs path.format."))
		}
		if v.Long("partition.duration.ms") <= 0 {
			problems = append(problems, configs.KeyError("partition.duration.ms", "The TimeBased partitioner needs a positive partition.duration.ms."))
		}
		if l := strings.ToLower(v.String("locale")); l != "" && !strings.HasPrefix(l, "en") && patternHasNames(v.String("path.format")) {
			problems = append(problems, configs.KeyError("locale", "Names of months and days are English; use numbers (MM, dd) in path.format, or an English locale."))
		}
	case "daily", "hourly":
		if v.String("path.format") != "" {
			problems = append(problems, configs.KeyWarning("path.format", "The Daily and Hourly partitioners have their own path; path.format has no effect."))
		}
	}
	return problems
}

func checkRotation(v configs.Values) []configs.Problem {
	if v.Long("rotate.interval.ms") <= 0 {
		return nil
	}
	switch pick(partitioners(), v.String("partitioner.class")) {
	case "default", "field":
		return []configs.Problem{configs.KeyWarning("rotate.interval.ms",
			"rotate.interval.ms has no effect without a partitioner by time; rotate.schedule.interval.ms finishes files by the clock.")}
	}
	return nil
}

func checkNulls(v configs.Values) []configs.Problem {
	if v.String("behavior.on.null.values") != "write" || v.Bool("store.kafka.keys") {
		return nil
	}
	return []configs.Problem{configs.KeyError("behavior.on.null.values", "To write records without a value, store.kafka.keys must be true.")}
}

func checkAcceleration(v configs.Values) []configs.Problem {
	if !v.Bool("s3.wan.mode") || !v.Bool("s3.path.style.access.enabled") {
		return nil
	}
	return []configs.Problem{configs.KeyError("s3.wan.mode", "The accelerated endpoint needs s3.path.style.access.enabled=false.")}
}

func checkEncryption(v configs.Values) (problems []configs.Problem) {
	name, customer := v.String("s3.ssea.name"), v.Has("s3.sse.customer.key")
	if v.String("s3.sse.kms.key.id") != "" && !strings.HasPrefix(name, "aws:kms") {
		problems = append(problems, configs.KeyError("s3.sse.kms.key.id", "A KMS key needs s3.ssea.name=aws:kms."))
	}
	if customer && name != "" && name != "AES256" {
		problems = append(problems, configs.KeyError("s3.sse.customer.key", "A customer's key cannot be used together with "+name+"."))
	}
	return problems
}

func decodeCustomerKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err == nil && len(key) != 32 {
		err = errors.New("not 32 bytes")
	}
	return key, err
}
