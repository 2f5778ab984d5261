# Each step looks first, so that it may be run again: it changes what differs, and makes what is missing.
# In the environment: APP and INSTALLATION, the app's client id and the number of its installation, and
# where previews have an app of their own PREVIEW_APP and PREVIEW_INSTALLATION.
: "${APP:?give the client id of the GitHub App}"
: "${INSTALLATION:?give the number of the installation of the GitHub App}"
if [ "$two_apps" = true ]; then
  : "${PREVIEW_APP:?give the client id of the app for previews}"
  : "${PREVIEW_INSTALLATION:?give the number of the installation of the app for previews}"
fi

found=$(gh api "repos/$repository" --jq .id)
if [ "$found" != "$repository_id" ]; then
  echo "github.sh: $repository has the id $found, and the roles trust $repository_id; bootstrap again" >&2
  exit 1
fi

# The reviewers by their ids, before anything is changed.
listed='[]'
for each in "${reviewers[@]}"; do
  case $each in
    team:*) kind=Team id=$(gh api "orgs/${repository%%/*}/teams/${each#team:}" --jq .id) ;;
    *) kind=User id=$(gh api "users/${each#user:}" --jq .id) ;;
  esac
  listed=$(jq -c --arg type "$kind" --argjson id "$id" '. + [{type: $type, id: $id}]' <<< "$listed")
done

environment() { # NAME REVIEWERS
  jq -n --argjson reviewers "$2" '{
      reviewers: (if $reviewers == [] then null else $reviewers end),
      prevent_self_review: ($reviewers != []),
      deployment_branch_policy: {protected_branches: false, custom_branch_policies: true}
    }' | gh api --method PUT "repos/$repository/environments/$1" --input - > /dev/null
  policies=repos/$repository/environments/$1/deployment-branch-policies
  if [ -z "$(gh api "$policies" --jq '.branch_policies[] | select(.name == "main") | .name')" ]; then
    gh api --method POST "$policies" --raw-field name=main > /dev/null
  fi
  echo "environment $1"
}
environment production '[]'
environment production-guarded "$listed"

# Whoever may push to main deploys: nobody does without a review.
rules=$(jq -n '{
    name: "ecr-estate", target: "branch", enforcement: "active",
    conditions: {ref_name: {include: ["refs/heads/main"], exclude: []}},
    rules: [
      {type: "deletion"},
      {type: "non_fast_forward"},
      {type: "pull_request", parameters: {
        required_approving_review_count: 1, dismiss_stale_reviews_on_push: true,
        require_code_owner_review: false, require_last_push_approval: true,
        required_review_thread_resolution: false}}
    ]}')
number=$(gh api "repos/$repository/rulesets" --jq '.[] | select(.name == "ecr-estate") | .id')
if [ -n "$number" ]; then
  gh api --method PUT "repos/$repository/rulesets/$number" --input - <<< "$rules" > /dev/null
else
  gh api --method POST "repos/$repository/rulesets" --input - <<< "$rules" > /dev/null
fi
echo "ruleset ecr-estate"

variable() { # NAME VALUE
  gh variable set "$1" --repo "$repository" --body "$2"
  echo "variable $1"
}
variable ECR_ESTATE_STACKS "$stacks"
variable ECR_ESTATE_BACKEND "$backend"
variable ECR_ESTATE_OUTPUTS "$backend/outputs/"
variable ECR_ESTATE_REGION "$region"
variable ECR_ESTATE_PREVIEW_ROLE "$preview_role"
variable ECR_ESTATE_APP "$APP"
variable ECR_ESTATE_APP_INSTALLATION "$INSTALLATION"
variable ECR_ESTATE_APP_KEY "$app_key"
if [ "$two_apps" = true ]; then
  variable ECR_ESTATE_PREVIEW_APP "$PREVIEW_APP"
  variable ECR_ESTATE_PREVIEW_APP_INSTALLATION "$PREVIEW_INSTALLATION"
  variable ECR_ESTATE_PREVIEW_APP_KEY "$preview_app_key"
  variable ECR_ESTATE_VARIABLES true
fi
variable ECR_ESTATE_GUARDED true # its reviewers are above
variable ECR_ESTATE_DEPLOY_ROLE "$deploy_role" # last: with it the workflows begin
