import com.ibm.cloud.objectstorage.ClientConfiguration;
import com.ibm.cloud.objectstorage.SDKGlobalConfiguration;
import com.ibm.cloud.objectstorage.auth.AWSCredentials;
import com.ibm.cloud.objectstorage.auth.AWSStaticCredentialsProvider;
import com.ibm.cloud.objectstorage.auth.BasicAWSCredentials;
import com.ibm.cloud.objectstorage.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.ibm.cloud.objectstorage.oauth.BasicIBMOAuthCredentials;
import com.ibm.cloud.objectstorage.services.s3.AmazonS3;
import com.ibm.cloud.objectstorage.services.s3.AmazonS3ClientBuilder;
import com.ibm.cloud.objectstorage.services.s3.model.*;
import java.io.ByteArrayInputStream;
import java.util.*;
import java.util.stream.*;

/** IBM's Object Storage client for Java: one line of JSON for each case, as the Python programs write them. */
public class ObjectStorage {
  interface Case {
    void run() throws Exception;
  }

  static final String BUCKET = "client-java";

  static AmazonS3 clientOf(AWSCredentials credentials) {
    return AmazonS3ClientBuilder.standard()
        .withCredentials(new AWSStaticCredentialsProvider(credentials))
        .withEndpointConfiguration(new EndpointConfiguration(System.getenv("COS_ENDPOINT"), "eu-de"))
        .withPathStyleAccessEnabled(true)
        .withClientConfiguration(new ClientConfiguration().withRequestTimeout(20_000).withTcpKeepAlive(true))
        .build();
  }

  public static void main(String[] words) {
    SDKGlobalConfiguration.IAM_ENDPOINT = System.getenv("IAM_AUTH_URL") + "/identity/token";
    AmazonS3 s3 = clientOf(new BasicIBMOAuthCredentials(System.getenv("IBMCLOUD_API_KEY"), words[0]));
    byte[] large = new byte[20 << 20];
    new Random(1).nextBytes(large);

    run("a bucket with a class: made, there, listed, with its location", () -> {
      s3.createBucket(new CreateBucketRequest(BUCKET, "eu-de-smart"));
      equal(s3.doesBucketExist(BUCKET), true);
      equal(s3.doesBucketExist("client-none"), false);
      equal(s3.doesBucketExistV2(BUCKET), true);
      equal(s3.doesBucketExistV2("client-none"), false);
      equal(s3.getBucketAcl(BUCKET).getGrantsAsList().get(0).getPermission(), Permission.FullControl);
      equal(s3.listBuckets().stream().map(Bucket::getName).toList(), List.of(BUCKET));
      equal(s3.listBucketsExtended().getBuckets().get(0).getLocationConstraint(), "eu-de-smart");
    });
    run("an object: put, got whole and in part, by its head, under a condition, copied", () -> {
      ObjectMetadata metadata = new ObjectMetadata();
      metadata.setContentType("text/plain");
      metadata.setContentLength(11);
      metadata.addUserMetadata("note", "hello");
      String etag = s3.putObject(BUCKET, "one", stream("hello world"), metadata).getETag();
      equal(s3.getObjectAsString(BUCKET, "one"), "hello world");
      equal(text(s3.getObject(new GetObjectRequest(BUCKET, "one").withRange(6, 10))), "world");
      ObjectMetadata head = s3.getObjectMetadata(BUCKET, "one");
      equal(List.of(head.getContentType(), head.getUserMetaDataOf("note"), head.getContentLength(), head.getETag()), List.of("text/plain", "hello", 11L, etag));
      equal(s3.getObject(new GetObjectRequest(BUCKET, "one").withNonmatchingETagConstraint(etag)), null);
      equal(s3.getObject(new GetObjectRequest(BUCKET, "one").withMatchingETagConstraint("other")), null);
      equal(s3.copyObject(BUCKET, "one", BUCKET, "two").getETag(), etag);
      equal(s3.doesObjectExist(BUCKET, "two"), true);
      s3.deleteObject(BUCKET, "two");
      equal(s3.doesObjectExist(BUCKET, "two"), false);
    });
    run("twenty megabytes, which the client digests on their way both times", () -> {
      ObjectMetadata metadata = new ObjectMetadata();
      metadata.setContentLength(large.length);
      s3.putObject(BUCKET, "large", new ByteArrayInputStream(large), metadata);
      equal(Arrays.equals(s3.getObject(BUCKET, "large").getObjectContent().readAllBytes(), large), true);
      s3.deleteObject(BUCKET, "large");
    });
    run("unusual keys: put, got, listed in both forms by pages, deleted many at a time", () -> {
      List<String> keys = List.of("!plain", "&".repeat(1024), "\"".repeat(1024), "%41", ".hidden", "a//b", "a+b", "a/b c", "tab\tline\nend", "\u00fcmlaut/\u65e5\u672c", "x".repeat(1024));
      s3.deleteObject(BUCKET, "one");
      for (String key : keys) s3.putObject(BUCKET, key, key);
      for (String key : keys) equal(s3.getObjectAsString(BUCKET, key), key);
      Set<String> found = new TreeSet<>();
      ObjectListing page = s3.listObjects(new ListObjectsRequest().withBucketName(BUCKET).withMaxKeys(3));
      for (; ; page = s3.listNextBatchOfObjects(page)) {
        page.getObjectSummaries().forEach(one -> found.add(one.getKey()));
        if (!page.isTruncated()) break;
      }
      equal(found, new TreeSet<>(keys));
      ListObjectsV2Result below = s3.listObjectsV2(new ListObjectsV2Request().withBucketName(BUCKET).withDelimiter("/").withPrefix("a"));
      equal(below.getCommonPrefixes(), List.of("a/"));
      equal(below.getObjectSummaries().stream().map(S3ObjectSummary::getKey).toList(), List.of("a+b"));
      equal(s3.deleteObjects(new DeleteObjectsRequest(BUCKET).withKeys(keys.toArray(new String[0]))).getDeletedObjects().size(), keys.size());
      equal(s3.listObjectsV2(BUCKET).getKeyCount(), 0);
    });
    run("refusals are the client's own codes", () -> {
      s3.putObject(BUCKET, "one", "hello world");
      refused(404, "NoSuchKey", () -> s3.getObject(BUCKET, "none"));
      refused(404, "NoSuchBucket", () -> s3.listObjectsV2("client-none"));
      refused(409, "BucketNotEmpty", () -> s3.deleteBucket(BUCKET));
      refused(409, "BucketAlreadyOwnedByYou", () -> s3.createBucket(BUCKET));
      refused(416, "InvalidRange", () -> s3.getObject(new GetObjectRequest(BUCKET, "one").withRange(11, 20)));
      ObjectMetadata wrong = new ObjectMetadata();
      wrong.setContentLength(5);
      wrong.setContentMD5("AAAAAAAAAAAAAAAAAAAAAA==");
      refused(400, "BadDigest", () -> s3.putObject(BUCKET, "one", stream("other"), wrong));
      equal(s3.getObjectAsString(BUCKET, "one"), "hello world");
    });
    run("multipart, versions and requests signed with HMAC keys: 501, and the name of what is not there", () -> {
      says("multipart", refused(501, "NotImplemented", () -> s3.initiateMultipartUpload(new InitiateMultipartUploadRequest(BUCKET, "big"))));
      says("Versions", refused(501, "NotImplemented", () -> s3.getBucketVersioningConfiguration(BUCKET)));
      AmazonS3 signed = clientOf(new BasicAWSCredentials("an-access-key", "a-secret"));
      says("HMAC", refused(501, "NotImplemented", () -> signed.listObjectsV2(BUCKET)));
      says("HMAC", refused(501, "NotImplemented", () -> signed.putObject(BUCKET, "one", "x".repeat(100_000))));
      equal(s3.getObjectAsString(BUCKET, "one"), "hello world");
    });
    run("the bucket is deleted", () -> {
      s3.deleteObject(BUCKET, "one");
      s3.deleteBucket(BUCKET);
      equal(s3.listBuckets().size(), 0);
    });
    System.exit(0);
  }

  static ByteArrayInputStream stream(String text) {
    return new ByteArrayInputStream(text.getBytes());
  }

  static String text(S3Object object) throws Exception {
    try (object) {
      return new String(object.getObjectContent().readAllBytes());
    }
  }

  static AmazonS3Exception refused(int status, String code, Case call) throws Exception {
    try {
      call.run();
    } catch (AmazonS3Exception error) {
      equal(error.getStatusCode() + " " + error.getErrorCode(), status + " " + code);
      equal(error.getRequestId() != null, true);
      return error;
    }
    throw new AssertionError("answered, not refused with " + status + " " + code);
  }

  static void says(String part, AmazonS3Exception error) {
    if (!error.getErrorMessage().contains(part)) throw new AssertionError(part + " is not in " + error.getErrorMessage());
  }

  static void equal(Object actual, Object expected) {
    if (!Objects.equals(actual, expected)) throw new AssertionError(actual + " is not " + expected);
  }

  static void run(String name, Case one) {
    String error = null;
    try {
      one.run();
    } catch (Throwable thrown) {
      error = Stream.concat(Stream.of(thrown.toString()), Arrays.stream(thrown.getStackTrace()).limit(8).map(Object::toString)).collect(Collectors.joining("\n"));
    }
    System.out.println("{\"name\":" + json(name) + ",\"ok\":" + (error == null) + (error == null ? "" : ",\"error\":" + json(error)) + "}");
  }

  static String json(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char one : text.toCharArray()) out.append(one < ' ' || one == '"' || one == '\\' ? String.format("\\u%04x", (int) one) : String.valueOf(one));
    return out.append('"').toString();
  }
}
