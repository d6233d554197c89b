"""What kafka-python does: kafka_python_clients.py BOOTSTRAP."""
import sys

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import ProducerFencedError, TopicAlreadyExistsError

boot = sys.argv[1]


def consume(topic, n, group, **settings):
    c = KafkaConsumer(topic, bootstrap_servers=boot, group_id=group, auto_offset_reset='earliest', enable_auto_commit=False, **settings)
    got = []
    while len(got) < n:
        for records in c.poll(timeout_ms=1000).values():
            got += records
    return c, got


# Topics and their settings.
admin = KafkaAdminClient(bootstrap_servers=boot)
admin.create_topics([NewTopic(name='python', num_partitions=3, replication_factor=1, topic_configs={'retention.ms': '1234567'}),
                     NewTopic(name='python-out', num_partitions=1, replication_factor=1),
                     NewTopic(name='python-gone', num_partitions=1, replication_factor=1)])
try:
    admin.create_topics([NewTopic(name='python', num_partitions=3, replication_factor=1)])
    raise AssertionError('made twice')
except TopicAlreadyExistsError:
    pass
admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, 'python', {'max.message.bytes': '2000000'})])
described = str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, 'python')]))
assert '1234567' in described and '2000000' in described, described
admin.create_partitions({'python': 4})
admin.delete_topics(['python-gone'])
assert 'python-gone' not in admin.list_topics()

# Every codec, with headers; read by a group that commits.
codecs = [None, 'gzip', 'snappy', 'lz4', 'zstd']
values = [b'%s %d' % (str(codec).encode(), i) for codec in codecs for i in range(300)]
for codec in codecs:
    producer = KafkaProducer(bootstrap_servers=boot, acks='all', compression_type=codec, enable_idempotence=True, linger_ms=20)
    sent = [producer.send('python', key=b'%d' % i, value=b'%s %d' % (str(codec).encode(), i), headers=[('h', b'1'), ('h', b'')]) for i in range(300)]
    producer.flush()
    assert all(f.get(60).offset >= 0 for f in sent)
c, got = consume('python', len(values), 'py')
assert sorted(r.value for r in got) == sorted(values)
assert all(list(r.headers) == [('h', b'1'), ('h', b'')] for r in got), got[0].headers
c.commit()
c.close()
producer.send('python', value=b'later').get(60)
c, got = consume('python', 1, 'py')
assert [r.value for r in got] == [b'later']
c.commit()
c.close()
partitions = [TopicPartition('python', p) for p in range(4)]
assert sum(KafkaConsumer(bootstrap_servers=boot).end_offsets(partitions).values()) == len(values) + 1
assert sum(o.offset for o in admin.list_group_offsets(['py'])['py'].values()) == len(values) + 1
assert 'Empty' in str(admin.describe_groups(['py'])).title()
admin.delete_groups(['py'])

# Transactions: what is read is marked as read with what is written, or neither is.
producer = KafkaProducer(bootstrap_servers=boot, transactional_id='python', acks='all')
producer.init_transactions()
source = KafkaConsumer('python', bootstrap_servers=boot, group_id='copiers', auto_offset_reset='earliest', enable_auto_commit=False, max_poll_records=300)
copied = aborted = round = 0
while copied < len(values) + 1:
    polled = source.poll(timeout_ms=1000)
    if not polled:
        continue
    round += 1
    n = sum(len(records) for records in polled.values())
    producer.begin_transaction()
    for records in polled.values():
        for r in records:
            producer.send('python-out', value=r.value)
    producer.send_offsets_to_transaction({p: OffsetAndMetadata(records[-1].offset + 1, '', -1) for p, records in polled.items()}, source.group_metadata())
    if round % 3 == 2:
        producer.flush()
        producer.abort_transaction()
        aborted += n
        for p, records in polled.items():
            source.seek(p, records[0].offset)
    else:
        producer.commit_transaction()
        copied += n
source.close()
assert aborted > 0
c, got = consume('python-out', len(values) + 1, 'committed', isolation_level='read_committed')
assert sorted(r.value for r in got) == sorted(values + [b'later'])
c.close()
consume('python-out', len(values) + 1 + aborted, 'uncommitted', isolation_level='read_uncommitted')[0].close()
assert sum(o.offset for o in admin.list_group_offsets(['copiers'])['copiers'].values()) == len(values) + 1

# A producer with the same id shuts out the one before it.
producer.begin_transaction()
producer.send('python-out', value=b'zombie').get(60)
KafkaProducer(bootstrap_servers=boot, transactional_id='python', acks='all').init_transactions()
try:
    producer.commit_transaction()
    raise AssertionError('the zombie commits')
except ProducerFencedError:
    pass
admin.delete_records({TopicPartition('python-out', 0): 10})
assert KafkaConsumer(bootstrap_servers=boot).beginning_offsets([TopicPartition('python-out', 0)])[TopicPartition('python-out', 0)] == 10
print('ok')
