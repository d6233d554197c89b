"""What librdkafka's clients do, by confluent-kafka-python: confluent_clients.py BOOTSTRAP."""
import sys

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec,
                                   ResourceType)

servers = {'bootstrap.servers': sys.argv[1]}
TIMEOUT = 60


def done(futures):
    return {k: f.result(TIMEOUT) for k, f in futures.items()}


def fails(code, call):
    try:
        call()
    except KafkaException as e:
        assert e.args[0].code() == code, e
    else:
        raise AssertionError('not refused')


def produce(producer, topic, values, **more):
    reports = []
    for i, v in enumerate(values):
        producer.produce(topic, v, key=b'%d' % i, on_delivery=lambda err, m: reports.append((err, m)), **more)
    assert producer.flush(TIMEOUT) == 0
    assert len(reports) == len(values) and not any(err for err, _ in reports), reports[:3]
    return [m for _, m in reports]


def consume(topic, n, group, **settings):
    c = Consumer({**servers, 'group.id': group, 'auto.offset.reset': 'earliest', 'enable.auto.commit': False, **settings})
    c.subscribe([topic])
    got = []
    while len(got) < n:
        m = c.poll(1)
        if m is not None:
            assert not m.error(), m.error()
            got.append(m)
    return c, got


# Topics and their settings.
admin = AdminClient(servers)
done(admin.create_topics([NewTopic('rd', 3, 1, config={'retention.ms': '1234567'}), NewTopic('rd-out', 1, 1), NewTopic('rd-gone', 1, 1)]))
fails(KafkaError.TOPIC_ALREADY_EXISTS, lambda: done(admin.create_topics([NewTopic('rd', 3, 1)])))
rd = ConfigResource(ResourceType.TOPIC, 'rd')
config = done(admin.describe_configs([rd]))[rd]
assert config['retention.ms'].value == '1234567' and config['cleanup.policy'].value == 'delete'
rd.add_incremental_config(ConfigEntry('cleanup.policy', 'compact', incremental_operation=AlterConfigOpType.APPEND))
done(admin.incremental_alter_configs([rd]))
assert set(done(admin.describe_configs([rd]))[rd]['cleanup.policy'].value.split(',')) == {'compact', 'delete'}
done(admin.create_partitions([NewPartitions('rd', 4)]))
done(admin.delete_topics(['rd-gone']))
topics = admin.list_topics(timeout=TIMEOUT).topics
assert len(topics['rd'].partitions) == 4 and 'rd-gone' not in topics

# Every codec, idempotent, with headers; read by a group that commits.
codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
headers = [('a', b'1'), ('a', None), ('empty', b'')]
for codec in codecs:
    producer = Producer({**servers, 'enable.idempotence': True, 'compression.type': codec, 'linger.ms': 50})
    produce(producer, 'rd', [b'%s %d' % (codec.encode(), i) * 5 for i in range(500)], headers=headers, timestamp=1_700_000_000_000)
c, got = consume('rd', 500 * len(codecs), 'group')
assert sorted(m.value() for m in got) == sorted(b'%s %d' % (codec.encode(), i) * 5 for codec in codecs for i in range(500))
assert all(m.headers() == headers and m.timestamp()[1] == 1_700_000_000_000 for m in got)
c.commit(asynchronous=False)
c.close()
produce(Producer(servers), 'rd', [b'later'])
c, got = consume('rd', 1, 'group')
assert [m.value() for m in got] == [b'later']
c.commit(asynchronous=False)
low, high = c.get_watermark_offsets(TopicPartition('rd', got[0].partition()), TIMEOUT)
assert (low, high) == (0, got[0].offset() + 1)
c.close()
ends = done(admin.list_offsets({TopicPartition('rd', p): OffsetSpec.latest() for p in range(4)}))
assert sum(e.offset for e in ends.values()) == 500 * len(codecs) + 1

# Groups, as administrators see them.
assert 'group' in {g.group_id for g in admin.list_consumer_groups().result(TIMEOUT).valid}
assert done(admin.describe_consumer_groups(['group']))['group'].state.name == 'EMPTY'
committed = done(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions('group')]))['group'].topic_partitions
assert sum(p.offset for p in committed) == 500 * len(codecs) + 1
back = [TopicPartition(p.topic, p.partition, 0) for p in committed]
done(admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions('group', back)]))
c, got = consume('rd', 500 * len(codecs) + 1, 'group')
c.close()
done(admin.delete_consumer_groups(['group']))
fails(KafkaError.GROUP_ID_NOT_FOUND, lambda: done(admin.delete_consumer_groups(['group'])))

# Transactions: what is read is marked as read with what is written, or neither is.
source = Consumer({**servers, 'group.id': 'copiers', 'auto.offset.reset': 'earliest', 'enable.auto.commit': False})
source.subscribe(['rd'])
writer = Producer({**servers, 'transactional.id': 'rd-copier'})
writer.init_transactions(TIMEOUT)
copied, aborted, round = 0, 0, 0
while copied < 500 * len(codecs) + 1:
    messages = source.consume(400, 1)
    if not messages:
        continue
    round += 1
    writer.begin_transaction()
    for m in messages:
        assert not m.error(), m.error()
        writer.produce('rd-out', m.value(), key=m.key())
    writer.send_offsets_to_transaction(source.position(source.assignment()), source.consumer_group_metadata(), TIMEOUT)
    if round % 3 == 2:
        writer.flush(TIMEOUT)
        writer.abort_transaction(TIMEOUT)
        aborted += len(messages)
        for p in source.committed(source.assignment(), TIMEOUT):
            p.offset = max(p.offset, 0)
            source.seek(p)
    else:
        writer.commit_transaction(TIMEOUT)
        copied += len(messages)
assert aborted > 0
source.close()
want = sorted(m.value() for m in got)
c, committed = consume('rd-out', len(want), 'committed', **{'isolation.level': 'read_committed'})
assert sorted(m.value() for m in committed) == want
assert c.poll(0.2) is None
c.close()
c, everything = consume('rd-out', len(want) + aborted, 'uncommitted', **{'isolation.level': 'read_uncommitted'})
c.close()

# A producer with the same id shuts out the one before it.
writer.begin_transaction()
writer.produce('rd-out', b'zombie')
writer.flush(TIMEOUT)
Producer({**servers, 'transactional.id': 'rd-copier'}).init_transactions(TIMEOUT)
try:
    writer.commit_transaction(TIMEOUT)
    raise AssertionError('the zombie commits')
except KafkaException as e:
    assert e.args[0].fatal(), e

# Deleting records.
done(admin.delete_records([TopicPartition('rd-out', 0, 10)]))
assert done(admin.list_offsets({TopicPartition('rd-out', 0): OffsetSpec.earliest()}))[TopicPartition('rd-out', 0)].offset == 10
print('ok')
