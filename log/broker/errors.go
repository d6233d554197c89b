package broker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
)

// errorCode maps an error of the log, or one that has a code already, to Kafka's code.
func errorCode(err error) int16 {
	if err == nil {
		return 0
	}
	var ke *kerr.Error
	if errors.As(err, &ke) {
		return ke.Code
	}
	for _, e := range []struct {
		is   error
		code *kerr.Error
	}{
		{log.ErrUnknownTopic, kerr.UnknownTopicOrPartition},
		{log.ErrTopicExists, kerr.TopicAlreadyExists},
		{log.ErrInvalidTopic, kerr.InvalidTopicException},
		{log.ErrInvalidPartitions, kerr.InvalidPartitions},
		{log.ErrInvalidConfig, kerr.InvalidConfig},
		{log.ErrOffsetOutOfRange, kerr.OffsetOutOfRange},
		{log.ErrCorruptBatch, kerr.CorruptMessage},
		{log.ErrUnsupportedFormat, kerr.UnsupportedForMessageFormat},
		{log.ErrInvalidRecord, kerr.InvalidRecord},
		{log.ErrInvalidTimestamp, kerr.InvalidTimestamp},
		{log.ErrMessageTooLarge, kerr.MessageTooLarge},
		{log.ErrOutOfOrderSequence, kerr.OutOfOrderSequenceNumber},
		{log.ErrInvalidProducerEpoch, kerr.InvalidProducerEpoch},
		{log.ErrInvalidTxnState, kerr.InvalidTxnState},
		{log.ErrCoordinatorFenced, kerr.TransactionCoordinatorFenced},
		{log.ErrStorage, kerr.KafkaStorageError},
		{log.ErrClosed, kerr.NotLeaderForPartition},
	} {
		if errors.Is(err, e.is) {
			return e.code.Code
		}
	}
	return kerr.UnknownServerError.Code
}

// storeError is an error of the topic that groups are kept in, as a coordinator says it: clients look for the coordinator
// and ask again. Of KAFKA_STORAGE_ERROR, consumers know nothing.
func storeError(err error) error {
	if errors.Is(err, log.ErrStorage) || errors.Is(err, log.ErrClosed) {
		return fmt.Errorf("%w: %w", kerr.NotCoordinator, err)
	}
	if errors.Is(err, log.ErrMessageTooLarge) { // not the client's message
		return fmt.Errorf("%w: %w", kerr.UnknownServerError, err)
	}
	return err
}

// errorText is the message beside a code, nil for none. What the code says itself is left out where there is more.
func errorText(err error) *string {
	if err == nil {
		return nil
	}
	text := err.Error()
	var ke *kerr.Error
	if errors.As(err, &ke) {
		text = strings.TrimPrefix(text, ke.Error()+": ")
	}
	return &text
}
