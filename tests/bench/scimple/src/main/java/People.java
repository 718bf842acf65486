import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;
import org.apache.directory.scim.core.repository.PatchHandler;
import org.apache.directory.scim.core.repository.Repository;
import org.apache.directory.scim.core.schema.SchemaRegistry;
import org.apache.directory.scim.spec.exception.ResourceException;
import org.apache.directory.scim.spec.extension.EnterpriseExtension;
import org.apache.directory.scim.spec.filter.AttributeComparisonExpression;
import org.apache.directory.scim.spec.filter.CompareOperator;
import org.apache.directory.scim.spec.filter.Filter;
import org.apache.directory.scim.spec.filter.FilterExpression;
import org.apache.directory.scim.spec.filter.FilterExpressions;
import org.apache.directory.scim.spec.filter.FilterResponse;
import org.apache.directory.scim.spec.filter.LogicalExpression;
import org.apache.directory.scim.spec.filter.LogicalOperator;
import org.apache.directory.scim.spec.filter.PageRequest;
import org.apache.directory.scim.spec.filter.SortRequest;
import org.apache.directory.scim.spec.filter.ValuePathExpression;
import org.apache.directory.scim.spec.filter.attribute.AttributeReference;
import org.apache.directory.scim.spec.patch.PatchOperation;
import org.apache.directory.scim.spec.resources.ScimExtension;
import org.apache.directory.scim.spec.resources.ScimUser;
import org.apache.directory.scim.spec.schema.Meta;

/**
 * People in memory, found by id, userName, externalId and work e-mail through a map each. Other filters walk all of
 * them with SCIMple's own matcher. A change puts a new object into the place of the former one.
 */
final class People implements Repository<ScimUser> {
    private final Map<String, ScimUser> byId = new LinkedHashMap<>();
    private final Map<String, ScimUser> byName = new HashMap<>(), byExternalId = new HashMap<>();
    private final Map<String, ScimUser> byWorkMail = new HashMap<>();
    private final PatchHandler patches;
    private final SchemaRegistry schemas;

    People(PatchHandler patches, SchemaRegistry schemas) {
        this.patches = patches;
        this.schemas = schemas;
    }

    @Override
    public Class<ScimUser> getResourceClass() {
        return ScimUser.class;
    }

    @Override
    public List<Class<? extends ScimExtension>> getExtensionList() {
        return List.of(EnterpriseExtension.class);
    }

    @Override
    public synchronized ScimUser create(ScimUser user) throws ResourceException {
        if (byName.containsKey(folded(user.getUserName()))) {
            throw new ResourceException(409, "userName is taken");
        }
        user.setId(UUID.randomUUID().toString());
        Meta meta = new Meta();
        meta.setResourceType(ScimUser.RESOURCE_NAME);
        meta.setCreated(now());
        meta.setLastModified(meta.getCreated());
        user.setMeta(meta);
        put(user);
        return user;
    }

    @Override
    public synchronized ScimUser get(String id) {
        return byId.get(id);
    }

    @Override
    public synchronized FilterResponse<ScimUser> find(Filter filter, PageRequest page, SortRequest sort) {
        Collection<ScimUser> found = filter == null ? byId.values() : found(filter);
        int start = page.getStartIndex() == null ? 1 : Math.max(1, page.getStartIndex());
        int count = page.getCount() == null ? 100 : page.getCount();
        List<ScimUser> part = found.stream().skip(start - 1L).limit(count).toList();
        return new FilterResponse<>(part, page, found.size());
    }

    @Override
    public synchronized ScimUser update(
            String id, String version, ScimUser user, Set<AttributeReference> included, Set<AttributeReference> excluded)
            throws ResourceException {
        return replaced(existing(id), user);
    }

    @Override
    public synchronized ScimUser patch(
            String id, String version, List<PatchOperation> operations,
            Set<AttributeReference> included, Set<AttributeReference> excluded) throws ResourceException {
        ScimUser before = existing(id);
        return replaced(before, patches.apply(before, operations));
    }

    @Override
    public synchronized void delete(String id) throws ResourceException {
        remove(existing(id));
        byId.remove(id);
    }

    private ScimUser existing(String id) throws ResourceException {
        ScimUser user = byId.get(id);
        if (user == null) {
            throw new ResourceException(404, id + " is not here");
        }
        return user;
    }

    private ScimUser replaced(ScimUser before, ScimUser after) throws ResourceException {
        ScimUser other = byName.get(folded(after.getUserName()));
        if (other != null && other != before) {
            throw new ResourceException(409, "userName is taken");
        }
        Meta meta = new Meta();
        meta.setResourceType(ScimUser.RESOURCE_NAME);
        meta.setCreated(before.getMeta().getCreated());
        meta.setLastModified(now());
        after.setId(before.getId());
        after.setMeta(meta);
        remove(before);
        put(after);
        return after;
    }

    private void put(ScimUser user) {
        byId.put(user.getId(), user);
        byName.put(folded(user.getUserName()), user);
        if (user.getExternalId() != null) {
            byExternalId.put(user.getExternalId(), user);
        }
        workMail(user, mail -> byWorkMail.put(mail, user));
    }

    /** Takes a user out of all but the first map, which keeps people in their order. */
    private void remove(ScimUser user) {
        byName.remove(folded(user.getUserName()));
        byExternalId.remove(user.getExternalId());
        workMail(user, byWorkMail::remove);
    }

    /** By an index where there is one. SCIMple has parsed the filter already. */
    private Collection<ScimUser> found(Filter filter) {
        FilterExpression expression = filter.getExpression();
        if (expression instanceof AttributeComparisonExpression one && one.getOperation() == CompareOperator.EQ
                && one.getCompareValue() instanceof String value) {
            switch (one.getAttributePath().getFullAttributeName().toLowerCase(Locale.ROOT)) {
                case "username": return listed(byName.get(folded(value)));
                case "externalid": return listed(byExternalId.get(value));
                default: break;
            }
        }
        if (expression instanceof ValuePathExpression path && path.getAttributePath().getAttributeName().equals("emails")
                && path.getAttributeExpression() instanceof LogicalExpression both
                && both.getOperator() == LogicalOperator.AND
                && both.getLeft().toUnqualifiedFilter().equals("type EQ \"work\"")
                && both.getRight() instanceof AttributeComparisonExpression mail
                && mail.getOperation() == CompareOperator.EQ
                && "value".equals(mail.getAttributePath().getSubAttributeName())
                && mail.getCompareValue() instanceof String value) {
            return listed(byWorkMail.get(folded(value)));
        }
        return byId.values().stream()
            .filter(FilterExpressions.inMemory(filter, schemas.getSchema(ScimUser.SCHEMA_URI))::test).toList();
    }

    private static List<ScimUser> listed(ScimUser user) {
        return user == null ? List.of() : List.of(user);
    }

    private static void workMail(ScimUser user, Consumer<String> use) {
        if (user.getEmails() != null) {
            user.getEmails().stream().filter(mail -> "work".equals(mail.getType())).findFirst()
                .ifPresent(mail -> use.accept(folded(mail.getValue())));
        }
    }

    private static String folded(String text) {
        return text.toLowerCase(Locale.ROOT);
    }

    private static LocalDateTime now() {
        return LocalDateTime.now(ZoneOffset.UTC);
    }
}
